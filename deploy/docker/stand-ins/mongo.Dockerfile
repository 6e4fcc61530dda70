# Stands in for `mongo`: MongoDB's engine as a package of its own, without authentication, so that the variables for the
# first user are ignored. Its context is a folder with `node_modules/` and `mongodb.js` of deploy/servers/.
FROM stand-in/sid
COPY node_modules /opt/mongodb/node_modules
COPY mongodb.js /opt/mongodb/
COPY mongosh /usr/local/bin/
COPY mongo-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /data/db
EXPOSE 27017
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mongod"]
