"""The networks in PyTorch; imported only by training, evaluation and conversion."""

from edgepose.models.heads import DeconvHead, DucHead, PointwiseHead
from edgepose.models.hrnet import HRNet
from edgepose.models.mobilenet import MobileNetV2, MobileNetV2Classifier
from edgepose.models.networks import NetworkConfig, PoseNetwork, build_network
from edgepose.models.resnet import ResNet
from edgepose.models.weights import LoadReport, load_backbone_weights

__all__ = [
    "DeconvHead",
    "DucHead",
    "HRNet",
    "LoadReport",
    "MobileNetV2",
    "MobileNetV2Classifier",
    "NetworkConfig",
    "PointwiseHead",
    "PoseNetwork",
    "ResNet",
    "build_network",
    "load_backbone_weights",
]
