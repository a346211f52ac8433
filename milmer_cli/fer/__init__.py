"""Facial expression recognition (FER): data sets and the classifier that `finetune-swin` trains.

The modules, in data-flow order:

- `labeled_images`: `LabeledImages`, the images and classes of one data set; the common class list.
- `readers`: one module per layout of a data set.
- `image_files`: image files of any bit depth, sample type and orientation as 8-bit RGB.
- `dataset`: `ImageDataset`, decoded images for PyTorch.
- `crop`: detect and crop the face of each image.
- `filtering`: exclude images that cannot be decoded or in which no face is detected.
- `splits`: training, validation and test set.
- `transforms`: normalization and augmentation of a batch (`data.augmentation`).
- `model`: a backbone with a classification head.
- `task`: the fine-tuning: classifier, images, split and training settings.
- `dry_run`: `finetune-swin --dry-run`.
- `metrics`: scores of the classifier.
- `result`: `FinetuneResult`, what `finetune-swin` returns.
- `model_card`: README.md of the fine-tuned model.

To add a data set: see `readers`. To add an augmentation: extend `data.augmentation.augment`.
"""
