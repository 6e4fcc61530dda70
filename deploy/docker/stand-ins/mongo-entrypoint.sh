#!/bin/sh
# Arguments are for mongod, whose cache the engine sizes by itself.
exec node /opt/mongodb/mongodb.js /opt/mongodb /data/db 27017 0.0.0.0
