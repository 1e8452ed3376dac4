"""What an outsider needs to work with a running sandbox: start it, speak AWS to it, read the mesh, ask its control plane.

Nothing here knows how the sandbox or peerd is built: everything is learnt from AWS calls and from the control plane's
documented requests. The live demonstration and the end-to-end tests share it.
"""
