"""Unit tests of tandem_pytorch: ``python -m unittest discover -t . tests`` in the folder above."""
