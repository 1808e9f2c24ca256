"""Platforms store data and run code: one small interface per capability (`capabilities`), one package per platform."""
