"""Sentido's wire format. The messages and services are in `sentido.v1`."""
