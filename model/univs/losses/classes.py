"""Classification against text embeddings: many classes, none of them "nothing"."""

import torch
from torch import Tensor
from torch.nn import functional

_ALPHA = 0.5
_GAMMA = 2.0


def focal_loss(logits: Tensor, labels: Tensor, alpha: float = _ALPHA, gamma: float = _GAMMA) -> Tensor:
    """Give the sigmoid focal loss of each entry (Lin et al., 2017), labels in {0, 1}: same shape as `logits`."""
    probability = logits.sigmoid()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    wrongness = probability * (1 - labels) + (1 - probability) * labels
    balance = alpha * labels + (1 - alpha) * (1 - labels)
    return balance * wrongness**gamma * cross_entropy


def class_loss(
    class_logits: Tensor,
    category_ids: Tensor,
    is_counted: Tensor,
    num_classes: int,
    *,
    with_softmax: bool = True,
) -> Tensor:
    """Compare the classes of the queries of one video with their objects'.

    Focal loss of all counted queries plus softmax cross-entropy of the matched ones, both divided by the number of
    matched queries (released code; the paper names the focal part only).

    Args:
        class_logits: [Q, K]; columns from `num_classes` on are padding.
        category_ids: int64 [Q]: the class each query should name; negative for none.
        is_counted: bool [Q]: queries that take part. A query without a class that counts should name nothing.
        num_classes: columns that are classes.
        with_softmax: add the softmax part.
    Returns:
        A scalar.
    """
    logits = class_logits[:, :num_classes].float()
    has_class = is_counted & (category_ids >= 0)
    labels = functional.one_hot(category_ids.clamp(min=0), num_classes).to(logits.dtype) * has_class[:, None]
    num_matched = has_class.sum().clamp(min=1)
    focal = (focal_loss(logits, labels) * is_counted[:, None]).sum() / num_matched
    if not with_softmax or not bool(has_class.any()):
        return focal
    cross_entropy = functional.cross_entropy(logits[has_class], category_ids[has_class])
    return focal + cross_entropy


def presence_loss(presence_logits: Tensor, is_present: Tensor, is_counted: Tensor) -> Tensor:
    """Compare presence with the truth: cross-entropy, mean over what is counted.

    Args:
        presence_logits: [B, Q, T].
        is_present: bool [B, Q, T].
        is_counted: bool [B, Q, T].
    """
    losses = functional.binary_cross_entropy_with_logits(
        presence_logits.float(), is_present.to(torch.float32), reduction="none"
    )
    return (losses * is_counted).sum() / is_counted.sum().clamp(min=1)
