"""Running a video through the network: prompts and frames in, masks out."""
