// Creates the query service's user in MongoDB with exactly the rights that it needs:
//
//   QUERY_SERVICE_PASSWORD=... mongosh "$ADMIN_URL" deploy/mongodb/roles.js
//
// Can run again: an existing user keeps its password. The service connects as `query-service` with `authSource=admin`. It has
// rights in one database only, where it creates and drops the collections of generations.
const database = 'room_reservations';
const admin = db.getSiblingDB('admin');
const privileges = [
  {
    resource: { db: database, collection: '' },
    actions: [
      'find', 'insert', 'update', 'remove',
      'listCollections', 'listIndexes',
      'createCollection', 'createIndex', 'dropIndex', 'dropCollection',
    ],
  },
];
if (admin.getRole('reservations')) {
  admin.updateRole('reservations', { privileges, roles: [] });
} else {
  admin.createRole({ role: 'reservations', privileges, roles: [] });
}
const roles = [{ role: 'reservations', db: 'admin' }];
if (admin.getUser('query-service')) {
  admin.updateUser('query-service', { roles });
} else {
  admin.createUser({ user: 'query-service', pwd: process.env.QUERY_SERVICE_PASSWORD, roles });
}
