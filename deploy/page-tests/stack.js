// Starts the embedded default with a folder of its own, or both services on real servers, and talks to them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.STANDALONE ?? new URL('../../target/debug/standalone', import.meta.url).pathname;

/** A port that nobody listens on. */
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export class Stack {
  /** Where the embedded default logs to. @type {'inherit' | 'ignore'} */
  static log = 'inherit';

  /** @param {Record<string, string>} [variables] @param {(starting: Stack) => Promise<void>} [before] Called when the ports are known. */
  static async start(variables = {}, before = async () => {}) {
    const stack = new Stack();
    stack.folder = await mkdtemp(join(tmpdir(), 'page-tests-'));
    [stack.commandPort, stack.queryPort] = [await freePort(), await freePort()];
    stack.commands = `http://127.0.0.1:${stack.commandPort}`;
    stack.page = `http://127.0.0.1:${stack.queryPort}`;
    stack.variables = variables;
    await before(stack);
    await stack.up();
    return stack;
  }

  /** One of each service on the servers that the environment names. */
  static async real() {
    const stack = new Stack();
    const program = BINARY.replace(/standalone$/, 'system-tests');
    stack.process = spawn(program, ['serve'], {
      env: { ...process.env, SYSTEM_TESTS_BINARIES: dirname(program) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    stack.ended = new Promise((resolve) => stack.process.once('exit', resolve));
    stack.lines = createInterface(stack.process.stdout);
    return Object.assign(stack, JSON.parse(await stack.line()));
  }

  /** The next line of the program that runs both services. */
  async line() {
    const [line] = await Promise.race([once(this.lines, 'line'), this.ended.then(() => [])]);
    if (!line) throw new Error('the services ended');
    return line;
  }

  /** Has the program that runs both services do this. @param {string} what See `system-tests serve --help`. */
  async tell(what) {
    this.process.stdin.write(`${what}\n`);
    await this.line();
  }

  /** Starts it, and waits until it is ready. */
  async up() {
    if (this.lines) return this.tell('start');
    this.process = spawn(BINARY, [], {
      env: {
        PATH: process.env.PATH,
        COMMAND_LISTEN: `127.0.0.1:${this.commandPort}`,
        QUERY_LISTEN: `127.0.0.1:${this.queryPort}`,
        DATA_DIR: join(this.folder, 'data'),
        ...this.variables,
      },
      stdio: ['ignore', 'ignore', Stack.log],
    });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    for (;;) {
      if (this.process.exitCode !== null) throw new Error(`standalone ended: ${this.process.exitCode}`);
      const ready = await fetch(`${this.page}/health/ready`).catch(() => null);
      if (ready?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async down() {
    if (this.lines) return this.tell('stop');
    this.process.kill('SIGTERM');
    await this.ended;
  }

  async end() {
    if (this.lines) {
      this.process.stdin.end();
      await this.ended;
      return;
    }
    await this.down();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Sends a command as a user; the answer must be good. Without `wait`, queries may not show the effect yet. */
  async command(method, path, body, { user = 'root', admin = true, wait = true } = {}) {
    const answer = await fetch(this.commands + path, {
      method,
      headers: {
        'X-User': user,
        ...(admin && { 'X-Roles': 'admin' }),
        'Content-Type': 'application/json',
        'Idempotency-Key': crypto.randomUUID(),
      },
      body: body && JSON.stringify(body),
    });
    const data = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(data)}`);
    if (wait) await this.query('/v1/rooms?limit=1', { token: answer.headers.get('Consistency-Token') });
    return data;
  }

  async query(path, { user = 'root', admin = true, token } = {}) {
    const headers = {
      'X-User': user,
      ...(admin && { 'X-Roles': 'admin' }),
      ...(token && { 'Consistency-Token': token }),
    };
    const answer = await fetch(this.page + path, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  /** Registers a room; its id. */
  async room(name, settings = {}) {
    const body = { name, kind: 'meeting', capacity: 8, timeZone: 'Europe/Lisbon', ...settings };
    return (await this.command('POST', '/v1/rooms', body)).room;
  }

  /** Reserves an hour; the effect. */
  reserve(room, from, to, { user = 'ben', title, people = 2, wait = true } = {}) {
    const body = { from, to, people, title };
    return this.command('POST', `/v1/rooms/${room}/reservations`, body, { user, admin: false, wait });
  }
}
