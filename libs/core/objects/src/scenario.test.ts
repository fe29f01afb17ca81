import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type Command,
  type Effect,
  type Guard,
  isWrite,
  type ObjectLimits,
  Objects,
  type Operation,
  type Reply,
  type Verb,
  verbs,
} from "./index.ts";
import { testCodec } from "./testing/codec.ts";

/*
 * Scenarios: testdata/*.txt. A file is one Objects; a block is commands, "----", the effects they cause, and an empty line. Commands:
 *   limits KEY_BYTES_MAX=10           bounds, first of all
 *   session s1 [nonce=n1]             opened; s1 is its name here
 *   s1.0 VERB OBJECT VALUES NUMBERS   an operation of owner 0 of s1; it gets the owner's next number, unless seq=5 says which
 *     values: JSON without spaces, NaN, -0, undefined, 7n, i32[1,2], raw:00ff (bytes); 3*"x" is "xxx"
 *     numbers: #1; #s1.0/2 is the first number, $s1.0/2 the revision, of that operation's reply
 *     guard=@lock:#s1.0/2             under a lock
 *   s1.0 transaction expect=@d:"key":$s1.0/2 : dict-set @d "key" 1 ; list-append @l 2         (expect=@l::$s1.0/3 of a whole object)
 *   s1.0 effects-commit "job" "a" "b" #7 #1 #0 expect=... : dict-set @d "key" 1        items 7 and 8 with their outcomes; 1 write is of 7, none of 8
 *   s1.0 effects-try : list-append @l 1 ; list-length @l
 *   s1.0/4 again                      the same operation once more
 *   ack s1.0 1 3                      it has the replies of 1, 2 and 3
 *   close-owner s1.0 | close s1 | expire s1 | break @lock WORDS
 *   restart                           goes on from a snapshot
 *   objects | locks | sessions | waits
 * After each command every invariant is checked, and that a snapshot makes the same state; at the end, that all commands do.
 * UPDATE_SCENARIOS=1 rewrites the answers: review the difference.
 */
const folder = new URL("../testdata/", import.meta.url);
const SEPARATOR = "----";

describe("scenarios", () => {
  for (const file of readdirSync(folder).sort()) {
    test(file.replace(/\.txt$/, "").replaceAll("-", " "), () => {
      const written = readFileSync(new URL(file, folder), "utf8");
      const played = play(written);
      if (process.env.UPDATE_SCENARIOS === "1") writeFileSync(new URL(file, folder), played);
      else expect(played).toBe(written);
    });
  }
});

/** The scenario's text with the answers that the objects give. */
function play(text: string): string {
  const stage = new Stage();
  const blocks = text.trimEnd().split("\n\n");
  const answers = blocks.map((block) => {
    const [commands = ""] = block.split(`\n${SEPARATOR}`);
    if (!block.includes(SEPARATOR)) return block;
    const effects = commands.split("\n").flatMap((line) => (line.startsWith("#") ? [] : stage.run(line)));
    return [commands, SEPARATOR, ...effects].join("\n");
  });
  stage.end();
  return `${answers.join("\n\n")}\n`;
}

interface Who {
  readonly name: string;
  readonly session: number;
  readonly owner: number;
}

class Stage {
  #limits: Partial<ObjectLimits> = {};
  #objects = new Objects({ values: testCodec });
  readonly #log: Command[] = [];
  readonly #sessions = new Map<string, number>();
  readonly #seqs = new Map<string, number>();
  readonly #asked = new Map<string, Operation>();
  readonly #replies = new Map<string, Reply>();

  run(line: string): string[] {
    const [verb = "", ...words] = line.split(" ").filter((word) => word !== "");
    const [subject = ""] = words;
    switch (verb) {
      case "limits":
        this.#limits = Object.fromEntries(words.map((word) => [word.split("=")[0], Number(word.split("=")[1])]));
        this.#objects = this.#fresh();
        return [];
      case "session": {
        const nonce = option(words, "nonce") ?? subject;
        const effects = this.#step({ type: "session-opened", nonce, ttlMs: 15_000, description: subject });
        for (const effect of effects) if (effect.type === "open-session") this.#sessions.set(subject, effect.session);
        return effects.map((effect) => this.#print(effect));
      }
      case "restart":
        this.#objects = Objects.restore([...this.#objects.snapshot()], this.#options);
        return [];
      case "objects":
      case "locks":
      case "sessions":
      case "waits":
        return this.#objects[verb]().map((view) => JSON.stringify(view));
      default:
        return this.#play(verb, words).map((effect) => this.#print(effect));
    }
  }

  end(): void {
    const replayed = this.#fresh();
    for (const command of this.#log) replayed.step(command);
    expect([...replayed.snapshot()]).toEqual([...this.#objects.snapshot()]);
  }

  get #options(): { readonly values: typeof testCodec; readonly limits: Partial<ObjectLimits> } {
    return { values: testCodec, limits: this.#limits };
  }

  #fresh(): Objects {
    return new Objects(this.#options);
  }

  #step(command: Command): readonly Effect[] {
    this.#log.push(command);
    return this.#checked(this.#objects.step(command));
  }

  #checked(effects: readonly Effect[]): readonly Effect[] {
    this.#objects.validate();
    const pieces = [...this.#objects.snapshot()];
    const restored = Objects.restore(pieces, this.#options);
    restored.validate();
    expect([...restored.snapshot()]).toEqual(pieces);
    for (const effect of effects)
      if (effect.type === "reply") this.#replies.set(`${this.#nameOf(effect)}/${effect.reply.seq}`, effect.reply);
    return effects;
  }

  #play(verb: string, words: readonly string[]): readonly Effect[] {
    const [subject = ""] = words;
    switch (verb) {
      case "close":
        return this.#step({ type: "session-closed", session: this.#who(subject).session });
      case "expire":
        return this.#step({ type: "session-expired", session: this.#who(subject).session });
      case "close-owner":
        return this.#step({ ...this.#who(subject), type: "owner-closed" });
      case "break":
        return this.#step({ type: "lock-broken", object: subject, reason: words.slice(1).join(" ") });
      case "ack": {
        const { session, owner } = this.#who(subject);
        const acknowledged = words.slice(1).map(Number);
        return this.#step({ type: "operations-asked", session, owner, acknowledged, operations: [] });
      }
      default:
        return this.#ask(verb, words);
    }
  }

  #ask(name: string, words: readonly string[]): readonly Effect[] {
    const again = words[0] === "again" ? this.#asked.get(name) : undefined;
    const { session, owner, name: asker } = this.#who(name.split("/")[0] ?? "");
    const operation = again ?? this.#operation(this.#seqOf(asker, words), words);
    this.#asked.set(`${asker}/${operation.seq}`, operation);
    if (!isWrite(operation.verb)) return this.#checked(this.#objects.read(session, owner, operation));
    return this.#step({ type: "operations-asked", session, owner, acknowledged: [], operations: [operation] });
  }

  #seqOf(asker: string, words: readonly string[]): number {
    const seq = Number(option(words, "seq") ?? (this.#seqs.get(asker) ?? 0) + 1);
    this.#seqs.set(asker, Math.max(seq, this.#seqs.get(asker) ?? 0));
    return seq;
  }

  #operation(seq: number, words: readonly string[]): Operation {
    const rest = words.filter((word) => !/^(seq|guard|expect)=/.test(word));
    const verb = verbs.find((each) => each === rest[0]);
    if (verb === undefined) throw new Error(`"${rest[0]}" is no verb`);
    const guards = words.filter((word) => word.startsWith("guard=")).map((word) => this.#guard(word.slice(6)));
    if (verb === "transaction" || verb.startsWith("effects-")) return { ...this.#whole(verb, words), seq, guards };
    return { ...this.#plain(verb, rest), seq, guards };
  }

  #plain(verb: Verb, [, object = "", ...rest]: readonly string[]): Omit<Operation, "seq" | "guards"> {
    const isNumber = (word: string): boolean => /^[#$]/.test(word);
    const numbers = rest.filter(isNumber).map((word) => this.#number(word));
    const values = rest.filter((word) => !isNumber(word)).map(encoded);
    return { verb, object, values, numbers, operations: [], expectations: [] };
  }

  /** What is of no one object: a transaction, and what is said of a job's items. */
  #whole(verb: Verb, words: readonly string[]): Omit<Operation, "seq" | "guards"> {
    const colon = words.includes(":") ? words.indexOf(":") : words.length;
    const parts = words
      .slice(colon + 1)
      .join(" ")
      .split(" ; ")
      .filter((part) => part !== "");
    const operations = parts.map((part, at) => this.#operation(at + 1, part.split(" ")));
    const said = words.slice(0, colon).filter((word) => !/^(seq|guard|expect)=/.test(word));
    const { values, numbers } = this.#plain(verb, [verb, "", ...said.slice(1)]);
    const expectations = words
      .filter((word) => word.startsWith("expect="))
      .map((word) => {
        const [object = "", key = "", revision = ""] = word.slice(7).split(":");
        const bytes = key === "" ? new Uint8Array() : encoded(key);
        return { object, key: bytes, revision: this.#number(revision) };
      });
    return { verb, object: "", values, numbers, operations, expectations };
  }

  #guard(text: string): Guard {
    const [lock = "", token = ""] = text.split(":");
    return { lock, token: this.#number(token) };
  }

  #number(word: string): number {
    const name = word.replace(/^[#$]/, "");
    if (!name.includes("/")) return Number(name);
    const reply = this.#replies.get(name);
    if (reply === undefined) throw new Error(`there is no reply of ${name}`);
    return word.startsWith("$") ? reply.revision : (reply.numbers[0] ?? 0);
  }

  #who(name: string): Who {
    const [session = "", owner = "0"] = name.split(".");
    return { name, session: this.#sessions.get(session) ?? Number(session.slice(1)) * 1_000, owner: Number(owner) };
  }

  #nameOf({ session, owner }: { readonly session: number; readonly owner: number }): string {
    for (const [name, number] of this.#sessions) if (number === session) return `${name}.${owner}`;
    return `?${session}.${owner}`;
  }

  #print(effect: Effect): string {
    switch (effect.type) {
      case "open-session":
        return `open session ${effect.session} nonce=${effect.nonce}`;
      case "refuse-session":
        return `refuse session nonce=${effect.nonce}: ${effect.refusal.code}, ${effect.refusal.message}`;
      case "end-session":
        return `end session ${effect.session} ${effect.code}: ${effect.message}`;
      case "revoke":
        return `${this.#nameOf(effect)} loses ${effect.object} token ${effect.token}${effect.reason === "" ? "" : `: ${effect.reason}`}`;
      case "reply":
        return `${this.#nameOf(effect)}/${effect.reply.seq} ${printReply(effect.reply)}`;
    }
  }
}

function printReply({ values, numbers, revision, refusal }: Reply): string {
  if (refusal !== undefined) {
    const { code, message, limit } = refusal;
    return `r${revision} refused ${code}: ${message}${limit === undefined ? "" : ` (${JSON.stringify(limit)})`}`;
  }
  return [`r${revision}`, ...values.map((value) => show(testCodec.decode(value))), ...numbers.map((n) => `#${n}`)].join(
    " ",
  );
}

function option(words: readonly string[], name: string): string | undefined {
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

function encoded(word: string): Uint8Array {
  if (word.startsWith("raw:"))
    return Uint8Array.from(word.slice(4).match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
  return testCodec.encode(parse(word));
}

function parse(word: string): unknown {
  const times = /^(\d+)\*"(.)"$/.exec(word);
  const ints = /^i32(\[.*\])$/.exec(word);
  const bigs = /^i64\[(.*)\]$/.exec(word);
  if (times !== null) return times[2]?.repeat(Number(times[1]));
  if (ints !== null) return Int32Array.from(JSON.parse(ints[1] ?? "[]"));
  if (bigs !== null) return BigInt64Array.from((bigs[1] ?? "").split(","), BigInt);
  if (word === "NaN") return Number.NaN;
  if (word === "-0") return -0;
  if (word === "undefined") return undefined;
  return /^-?\d+n$/.test(word) ? BigInt(word.slice(0, -1)) : JSON.parse(word);
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "number" || value === undefined) return String(value);
  if (ArrayBuffer.isView(value)) return `${Object.prototype.toString.call(value).slice(8, -6)}[${value}]`;
  return JSON.stringify(value);
}
