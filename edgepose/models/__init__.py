"""The networks in PyTorch; imported only by training, evaluation and conversion."""

from edgepose.models.backbones.cpm import CPM
from edgepose.models.backbones.hrnet import HRNet
from edgepose.models.backbones.mobilenet import MobileNetV2, MobileNetV2Classifier
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.backbones.weights import (
    LoadReport,
    load_backbone_weights,
    load_published_weights,
)
from edgepose.models.complexity import count_macs, count_parameters
from edgepose.models.dkd.configs import DKD_CONFIGS, DKDConfig, build_dkd
from edgepose.models.dkd.distillator import correlate
from edgepose.models.dkd.network import DKD
from edgepose.models.pose.heads import DeconvHead, DucHead, PointwiseHead
from edgepose.models.pose.network import NetworkConfig, PoseNetwork, build_network
from edgepose.models.ppn.configs import PPN_CONFIGS, PPNConfig, build_ppn
from edgepose.models.ppn.deformable_convolution import deform_conv2d
from edgepose.models.ppn.flow_ppu import FlowPPU
from edgepose.models.ppn.network import PPN
from edgepose.models.ppn.ppu import PPU, PPUConfig, build_ppu
from edgepose.models.thin_slicing.message_passing import MessagePassing

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
