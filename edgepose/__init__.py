"""Human pose tracking in video on edge devices."""
