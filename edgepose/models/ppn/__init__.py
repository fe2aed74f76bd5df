"""PosePropagationNet: body, propagation units and configurations."""
