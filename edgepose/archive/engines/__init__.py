"""What runs units: processes of this machine, or a Ray cluster."""
