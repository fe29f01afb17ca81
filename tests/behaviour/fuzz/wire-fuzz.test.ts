import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { frame, preface, request, settings } from "@heddle/adapter-grpc/testing";
import { objectsAdmin } from "@heddle/client";
import { type Random, seededRandom } from "@heddle/kernel";
import { connect, type Fabric } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFiles, Program, residentBytes } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import { framed, mutated, noise, one } from "./mutations.ts";
import { conversations, type Question, questions } from "./requests.ts";
import { type Answer, Sender } from "./sender.ts";

const SEED = Number(process.env.HEDDLE_FUZZ_SEED ?? 1);
/** Frames and requests in all. */
const RUNS = Number(process.env.HEDDLE_FUZZ_RUNS ?? 100_000);
const PATIENCE_MS = 240_000;
/** Under way at a time at each server. */
const LANES = 64;
const CONNECTIONS = 4;
const MEBIBYTE = 1024 * 1024;

const servers = ["coordinator", "manager"] as const;
type Server = (typeof servers)[number];

const GRPC = { "content-type": "application/grpc+proto" } as const;
/** Headers that are no gRPC, or ask for what there is not. */
const headers: readonly Readonly<Record<string, string>>[] = [
  { "content-type": "text/html" },
  { "content-type": "application/json" },
  { "content-type": "application/grpc-web+proto" },
  { "content-type": "" },
  { ...GRPC, "grpc-timeout": "abc" },
  { ...GRPC, "grpc-timeout": "99999999H" },
  { ...GRPC, "grpc-timeout": "-1S" },
  { ...GRPC, "grpc-timeout": "0n" },
  { ...GRPC, "grpc-timeout": "123456789123456789S" },
  { ...GRPC, "grpc-encoding": "gzip" },
  { ...GRPC, "grpc-encoding": "no-such-thing" },
  { ...GRPC, "grpc-accept-encoding": "\u00ff,,," },
  { ...GRPC, "x-bin": "!!!not base64!!!" },
  { ...GRPC, authorization: "heddle what" },
  { ...GRPC, ":method": "GET" },
  { ...GRPC, ":method": "PUT" },
  { ...GRPC, ":path": "/" },
  { ...GRPC, ":path": "/heddle.v1.Admin/NoSuchMethod" },
  { ...GRPC, ":path": "/no.such.Service/Method" },
];

/** Answers that a caller can do something with: "unknown" and "data loss" are the words of a server that has lost its way. */
const STATUSES: ReadonlySet<number> = new Set([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]);

const lines = [
  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  "POST /heddle.v1.Admin/GetStatus HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\n",
  "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
].map((text) => Buffer.from(text, "latin1"));

/** A fabric as a user has it: servers on sockets of this user's, a node, and somebody honest. */
class FuzzedFabric implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "heddle-fuzz-"));
  readonly #scope = new AsyncDisposableStack();
  readonly programs = new Map<Server, { readonly program: Program; readonly pid: number }>();

  constructor() {
    this.#scope.defer(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  async start(): Promise<void> {
    const timing = ["--lease-ms", "4000", "--heartbeat-ms", "500", "--drain-ms", "500"];
    await this.#serve("manager", timing);
    await this.#serve("coordinator", [...timing, "--manager", `unix:${this.socket("manager")}`]);
    const own = ["--name", "n1", "--processes", "1", "--data-dir", join(this.#directory, "n1")];
    this.#scope.use(new Program(["agent", "--coordinator", this.address, ...own]));
  }

  socket(server: Server): string {
    return join(this.#directory, `${server}.sock`);
  }

  get address(): string {
    return `unix:${this.socket("coordinator")}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }

  async #serve(server: Server, flags: readonly string[]): Promise<void> {
    const file = join(this.#directory, `${server}.json`);
    const place = ["--listen", `unix:${this.socket(server)}`, "--address-file", file];
    const program = new Program([server, ...place, "--data-dir", join(this.#directory, server), ...flags]);
    this.#scope.use(program);
    this.programs.set(server, { program, pid: (await program.address(file)).pid });
  }
}

/** What admins see of a fabric whose honest client works with one dict and runs `Math.abs`. */
async function digest(fabric: Fabric) {
  const admin = objectsAdmin(fabric);
  const [nodes, jobs] = await Promise.all([fabric.nodes(), fabric.jobs()]);
  const [objects, locks, sessions] = await Promise.all([admin.objects(), admin.locks(), admin.sessions()]);
  return {
    nodes: nodes.map(({ name, state, slots, reason, incarnation }) => [name, state, slots, reason, incarnation]),
    strangersJobs: jobs.filter(({ name }) => name !== "abs"),
    objects: objects.map(({ object, kind, items }) => [object, kind, items]),
    locks,
    sessions: sessions.map(({ session }) => session),
  };
}

describe(`G04: ${RUNS} requests and frames that no client would send (seed ${SEED})`, () => {
  const scope = new AsyncDisposableStack();
  const fabric = scope.use(new FuzzedFabric());
  beforeAll(() => fabric.start(), PATIENCE_MS);
  afterAll(() => scope.disposeAsync(), 60_000);

  test("are refused in order, change nothing, and nobody honest notices", { timeout: PATIENCE_MS }, async () => {
    await using honest = await connect(fabric.address);
    await using pool = honest.pool();
    await using manager = honest.manager();
    const dict = manager.dict<string, number>([], { name: "honest" });
    const work = async (n: number): Promise<void> => {
      await dict.set("n", n);
      expect([await pool.apply(Math.abs, [-n]), await dict.get("n")]).toEqual([n, n]);
    };
    await work(1);
    const before = await digest(honest);
    const footprints = new Map(servers.map((server) => [server, residentBytes(pidOf(server))]));
    const over = { isOver: false };
    const working = (async (): Promise<number> => {
      let n = 1;
      while (!over.isOver) await work(++n);
      return n;
    })();
    const answers = await Promise.all(servers.map((server) => attacked(server)));
    over.isOver = true;
    const worked = await working;
    expect(worked).toBeGreaterThan(10);
    const told = answers.flatMap((each) => [...each.keys()]);
    for (const answer of told)
      if (answer.startsWith("status")) expect(STATUSES, answer).toContain(Number(answer.slice("status ".length)));
    for (const refused of ["status 3", "status 12", "status 13"]) expect(told).toContain(refused);
    // sessions that strangers have opened end with their leases
    await eventually("strangers' sessions are over", async () => {
      const now = await objectsAdmin(honest).sessions();
      return now.length === before.sessions.length || undefined;
    });
    expect(await digest(honest)).toEqual(before);
    await work(worked + 1);
    await using newcomer = await connect(fabric.address);
    await using theirs = newcomer.manager();
    expect(await theirs.dict<string, number>([], { name: "honest" }).get("n")).toBe(worked + 1);
    for (const server of servers) {
      const grown = residentBytes(pidOf(server)) - (footprints.get(server) ?? 0);
      expect([server, grown < 200 * MEBIBYTE, grown]).toEqual([server, true, grown]);
      expect(openFiles(pidOf(server))).toBeLessThan(200);
      expect(fabric.programs.get(server)?.program.said).not.toMatch(/unhandled|TypeError|at .*\.ts:\d+/i);
    }
  });

  function pidOf(server: Server): number {
    const { program, pid } = fabric.programs.get(server) ?? {};
    if (program === undefined || pid === undefined || program.isOver) throw new Error(`the ${server} is gone`);
    return pid;
  }

  /** Half of all against one server. How often it gave each answer. */
  async function attacked(server: Server): Promise<ReadonlyMap<Answer, number>> {
    const random = seededRandom(SEED, server);
    using sender = new Sender(fabric.socket(server), CONNECTIONS);
    const answers = new Map<Answer, number>();
    let sent = 0;
    const lane = async (): Promise<void> => {
      while (sent < RUNS / servers.length) {
        const shot = drawn(server, random);
        sent += shot.count;
        const answer = await shot.send(sender);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return answers;
  }
});

interface Shot {
  readonly send: (sender: Sender) => Promise<Answer>;
  /** Frames and requests of it. */
  readonly count: number;
}

function drawn(server: Server, random: Random): Shot {
  const { path, body } = one<Question>(questions[server], random);
  switch (random.int(20)) {
    case 0: {
      const bytes = rawBytes(path, body, random);
      return { count: 1, send: (sender) => sender.shout(bytes) };
    }
    case 1:
    case 2: {
      const odd = { ":path": path, ...one(headers, random) };
      return { count: 1, send: (sender) => sender.ask(odd, framed(body)) };
    }
    case 3:
    case 4:
    case 5:
    case 6: {
      const conversation = one(conversations[server], random);
      const [first, ...rest] = conversation.frames(random);
      const opening = first === undefined || random.int(4) === 0 ? [] : [first];
      const frames = [...opening, ...rest.map((each) => (random.int(4) > 0 ? each : mutated(each, random)))];
      const bytes = Buffer.concat(frames.map((each) => framed(each)));
      const count = frames.length;
      return { count, send: (sender) => sender.ask({ ...GRPC, ":path": conversation.path }, bytes, true) };
    }
    case 7: {
      const bytes = oddlyFramed(body, random);
      return { count: 1, send: (sender) => sender.ask({ ...GRPC, ":path": path }, bytes) };
    }
    default: {
      const bytes = framed(mutated(body, random));
      return { count: 1, send: (sender) => sender.ask({ ...GRPC, ":path": path }, bytes) };
    }
  }
}

/** Frames of gRPC that end too soon, are compressed when nobody said so, are too many, or say that they are huge. */
function oddlyFramed(body: Uint8Array, random: Random): Buffer {
  const whole = framed(body);
  switch (random.int(6)) {
    case 0:
      return whole.subarray(0, random.int(whole.length));
    case 1:
      return framed(body, 1 + random.int(255));
    case 2:
      return Buffer.concat([whole, framed(mutated(body, random))]);
    case 3:
      return framed(body, 0, 0xffff_ffff);
    case 4:
      return framed(body, 0, body.length + 1 + random.int(1_000));
    default:
      return noise(random, random.int(40));
  }
}

/** HTTP/1, TLS where there is none, and HTTP/2 whose frames are damaged. */
function rawBytes(path: string, body: Uint8Array, random: Random): Buffer {
  if (random.int(3) === 0) return one(lines, random);
  const content = framed(body);
  const talk = Buffer.concat([settings, request(1, path, { te: "trailers" }), frame(0, 1, 1, content)]);
  return Buffer.concat([
    preface,
    random.int(2) === 0 ? mutated(talk, random) : talk.subarray(0, random.int(talk.length)),
  ]);
}
