"""What holds for every test: random input is judged by its outcome, never by how long this machine takes to make it."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
