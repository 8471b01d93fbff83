"""Listeners to the verdict, one a file. Each makes its report from the same readiness."""
