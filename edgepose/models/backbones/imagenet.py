"""The statistics that backbones trained on ImageNet expect their input to be normalised by."""

#: Mean and deviation of the channels red, green and blue, for values from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
