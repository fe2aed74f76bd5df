"""The networks in PyTorch; imported only by training, evaluation and conversion."""

from edgepose.models.complexity import count_macs, count_parameters
from edgepose.models.cpm import CPM
from edgepose.models.deform import deform_conv2d
from edgepose.models.heads import DeconvHead, DucHead, PointwiseHead
from edgepose.models.hrnet import HRNet
from edgepose.models.mobilenet import MobileNetV2, MobileNetV2Classifier
from edgepose.models.networks import NetworkConfig, PoseNetwork, build_network
from edgepose.models.ppn import PPN
from edgepose.models.ppu import PPU, PPUConfig, build_ppu
from edgepose.models.ppu_edge import FlowPPU
from edgepose.models.registry import PPN_CONFIGS, PPNConfig, build_ppn
from edgepose.models.resnet import ResNet
from edgepose.models.slicing import MessagePassing
from edgepose.models.weights import LoadReport, load_backbone_weights, load_published_weights

__all__ = [
    "CPM",
    "PPN",
    "PPN_CONFIGS",
    "PPU",
    "DeconvHead",
    "DucHead",
    "FlowPPU",
    "HRNet",
    "LoadReport",
    "MessagePassing",
    "MobileNetV2",
    "MobileNetV2Classifier",
    "NetworkConfig",
    "PPNConfig",
    "PPUConfig",
    "PointwiseHead",
    "PoseNetwork",
    "ResNet",
    "build_network",
    "build_ppn",
    "build_ppu",
    "count_macs",
    "count_parameters",
    "deform_conv2d",
    "load_backbone_weights",
    "load_published_weights",
]
