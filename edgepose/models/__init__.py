"""The networks in PyTorch; imported only by training, evaluation and conversion."""

from edgepose.models.heads import DucHead, PointwiseHead
from edgepose.models.mobilenet import MobileNetV2, MobileNetV2Classifier
from edgepose.models.networks import NetworkConfig, PoseNetwork, build_network
from edgepose.models.weights import LoadReport, load_backbone_weights

__all__ = [
    "DucHead",
    "LoadReport",
    "MobileNetV2",
    "MobileNetV2Classifier",
    "NetworkConfig",
    "PointwiseHead",
    "PoseNetwork",
    "build_network",
    "load_backbone_weights",
]
