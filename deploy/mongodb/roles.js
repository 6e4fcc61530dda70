// Creates the query service's user in MongoDB with exactly the rights that it needs:
//
//   QUERY_SERVICE_PASSWORD=... mongosh "$ADMIN_URL" deploy/mongodb/roles.js
//
// Can run again: an existing user keeps its password. The service connects as `query-service` with `authSource=admin`. It has
// rights in two databases only: that of the read models, where it creates and drops the collections of generations, and that
// of subscriptions and calendars, which it never drops.
const readModels = 'room_reservations';
const subscriptions = 'room_reservations_notify';
const admin = db.getSiblingDB('admin');
const privileges = [
  {
    resource: { db: readModels, collection: '' },
    actions: [
      'find', 'insert', 'update', 'remove',
      'listCollections', 'listIndexes',
      'createCollection', 'createIndex', 'dropIndex', 'dropCollection',
    ],
  },
  {
    resource: { db: subscriptions, collection: '' },
    actions: ['find', 'insert', 'update', 'remove', 'createCollection', 'createIndex'],
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
