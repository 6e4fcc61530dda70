#!/bin/sh
# Ignores mongod's arguments: the engine sizes its cache itself.
exec node /opt/mongodb/mongodb.js /opt/mongodb /data/db 27017 0.0.0.0
