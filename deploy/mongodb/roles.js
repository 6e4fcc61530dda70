// The query service's user in MongoDB and its rights, and no others:
//
//   QUERY_SERVICE_PASSWORD=... mongosh "$ADMIN_URL" deploy/mongodb/roles.js
//
// May be run again: a user that is there keeps its password. The service connects as `query-service` with
// `authSource=admin`. It works in one database, where it makes and removes the collections of generations of read models;
// it can do nothing elsewhere.
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
