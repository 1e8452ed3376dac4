"""What an outsider needs: start a sandbox, speak AWS to it, read and judge the mesh, ask its control plane.

Nothing here knows how the sandbox or peerd is built: everything is learnt from AWS calls and from the
documented requests of the control plane. The live demonstration and the end-to-end tests share it.
"""
