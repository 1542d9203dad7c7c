//! Pipeline YAML and an inventory of inputs to a checked, complete plan.
