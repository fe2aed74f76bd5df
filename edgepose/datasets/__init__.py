"""Annotated people to train on and to evaluate with.

Readers turn each set, as its authors publish it, into records: stills (`records.PersonImage`) and
clips (`records.PersonClip`) for training, clips (`clips.Clip`) for evaluation. `sampling` and
`batches` turn records into augmented batches; `readers.registry.KINDS` and
`evaluation.data_sets.DATA_SETS` are the sets by name, and these the folders that are expected:

=============== ====================================================================================
``penn``        ``labels/0001.mat``, ``frames/0001/000001.jpg``
``sub-jhmdb``   ``joint_positions/``, ``puppet_mask/``, ``Rename_Images/``, ``sub_splits/``
``full-jhmdb``  the same with ``splits/``
``mpii``        ``mpii_human_pose_v1_u12_1.mat``, ``images/``
``jhmdb``       ``joints.npz``, ``rtmpose_s.npz``, ``clips/CLASS/CLIP.avi``
``lspet``       ``joints.npz``, ``rtmpose_s.npz``, ``images.zip``
``people``      ``labels.npz``, ``images.zip``
``backgrounds`` ``images.zip``
``everyday``    ``joints.npz``, ``images.zip`` (for evaluation only)
=============== ====================================================================================

``edgepose train RECIPE --prepare DIR`` builds ``people`` and ``backgrounds``.
"""

from edgepose.datasets.root import data_root

__all__ = ["data_root"]
