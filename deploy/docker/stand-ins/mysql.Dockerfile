# Stand-in for `mysql`: Debian's server, with the variables, paths and scripts that docker-compose.yml uses. stand-in/sid is the
# tree of deploy/servers/.
FROM stand-in/sid
RUN groupadd --system --gid 999 mysql \
    && useradd --system --uid 999 --gid 999 --home-dir /var/lib/mysql --no-create-home mysql \
    && install -d -o mysql -g mysql /var/lib/mysql /var/run/mysqld /docker-entrypoint-initdb.d
COPY mysql-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/mysql
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306
CMD ["mysqld"]
