# Stand-in for `mongo`: MongoDB's engine as a separate package, without authentication. It ignores the variables for the first
# user. The context has `node_modules/` and `mongodb.js` of deploy/servers/.
FROM stand-in/sid
COPY node_modules /opt/mongodb/node_modules
COPY mongodb.js /opt/mongodb/
COPY mongosh /usr/local/bin/
COPY mongo-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /data/db
EXPOSE 27017
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mongod"]
