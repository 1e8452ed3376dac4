"""`make run`: the main job, live. Six VPCs become a mesh, a route heals, one VPC leaves."""
