"""The networks in PyTorch; imported only by training, evaluation and conversion."""

from edgepose.models.complexity import count_macs, count_parameters
from edgepose.models.cpm import CPM, SmallCPM
from edgepose.models.deform import deform_conv2d
from edgepose.models.distillation import correlate
from edgepose.models.dkd import DKD
from edgepose.models.dkd_registry import DKD_CONFIGS, DKDConfig, build_dkd
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
    "DKD",
    "DKD_CONFIGS",
    "PPN",
    "PPN_CONFIGS",
    "PPU",
    "DKDConfig",
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
    "SmallCPM",
    "build_dkd",
    "build_network",
    "build_ppn",
    "build_ppu",
    "correlate",
    "count_macs",
    "count_parameters",
    "deform_conv2d",
    "load_backbone_weights",
    "load_published_weights",
]
