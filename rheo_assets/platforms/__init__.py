"""Where data lies and code runs: one small interface a capability (`capabilities`), one package a platform."""
