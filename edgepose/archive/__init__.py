"""Every pose of many videos, exactly once: plan, workers, engines, parts and status."""
