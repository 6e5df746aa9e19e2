"""A local container-cluster lab: do logged-in users keep their state through upgrades and kills?"""
