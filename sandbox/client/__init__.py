"""A client of the sandbox: starts it, makes AWS calls, observes and checks the mesh, uses the control plane.

This package depends neither on the sandbox's nor on peerd's internals: it uses AWS calls and the documented
requests of the control plane only. The live demonstration and the end-to-end tests share it.
"""
