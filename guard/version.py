"""The version of Tocsin. Here and nowhere else: the packaging reads it from this line too."""

VERSION = "0.1.0"
