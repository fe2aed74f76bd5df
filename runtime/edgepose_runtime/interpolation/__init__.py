"""Human pose interpolation (HPIM): dictionary, solver, interpolator."""
