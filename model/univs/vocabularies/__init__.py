"""Names of categories: lists that data sets publish, as data, and any list of a user's own.

    univs.vocabularies.load("vipseg")                     # 124 names, 58 of them things
    univs.Vocabulary.of_names(["person", "sky"], is_thing=[True, False])

A list is one JSON file of this package, named for its data set.
"""

from univs.vocabularies.named import available, load
from univs.vocabularies.spoken import spoken
from univs.vocabularies.vocabulary import Vocabulary

__all__ = ["Vocabulary", "available", "load", "spoken"]
