import { keyText } from "./keys.ts";
import type { SharedObject } from "./shared-object.ts";
import type { TransactionLog } from "./transaction-log.ts";

/** An entry as it would be now; without a value it was deleted. */
interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Entries of a dict or namespace in a run of a transaction: as the manager has them, below what the run has written. All encoded. */
export class TransactionEntries {
  readonly #log: TransactionLog;
  readonly #object: SharedObject;
  /** Keys read one by one. */
  readonly #read = new Map<string, Uint8Array | undefined>();
  /** Written since the beginning, or since all were cleared; in order. */
  #written: Entry[] = [];
  readonly #newest = new Map<string, Entry>();
  #isCleared = false;
  /** All entries as they would be now, once all were read. */
  #all: Map<string, Entry> | undefined;

  constructor(log: TransactionLog, object: SharedObject) {
    this.#log = log;
    this.#object = object;
  }

  /** Undefined for a key that is not there. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const text = keyText(key);
    if (this.#all !== undefined) return this.#all.get(text)?.value;
    const written = this.#newest.get(text);
    if (written !== undefined || this.#isCleared) return written?.value;
    if (!this.#read.has(text))
      this.#read.set(text, (await this.#log.read(this.#object, "dict-get", { key })).values[0]);
    return this.#read.get(text);
  }

  /** In order, those that are there. */
  async all(): Promise<readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]> {
    this.#all ??= await this.#readAll();
    return [...this.#all.values()].flatMap(({ key, value }) => (value === undefined ? [] : [{ key, value }]));
  }

  set(pairs: readonly Uint8Array[]): void {
    for (let at = 0; at + 1 < pairs.length; at += 2) this.#note(pairs[at], pairs[at + 1]);
    if (pairs.length > 0) this.#log.write(this.#object, "dict-set", { values: pairs, merged: "append" });
  }

  delete(key: Uint8Array): void {
    this.#note(key, undefined);
    this.#log.write(this.#object, "dict-delete", { values: [key] });
  }

  clear(): void {
    this.#isCleared = true;
    this.#written = [];
    this.#newest.clear();
    this.#all?.clear();
    this.#log.write(this.#object, "dict-clear");
  }

  #note(key: Uint8Array | undefined, value: Uint8Array | undefined): void {
    if (key === undefined) return;
    const entry = { key, value };
    this.#written.push(entry);
    this.#newest.set(keyText(key), entry);
    if (this.#all !== undefined) put(this.#all, entry);
  }

  async #readAll(): Promise<Map<string, Entry>> {
    const all = new Map<string, Entry>();
    if (!this.#isCleared) {
      const { values } = await this.#log.read(this.#object, "dict-entries");
      for (let at = 0; at + 1 < values.length; at += 2) {
        const [key, value] = values.slice(at, at + 2);
        if (key !== undefined) put(all, { key, value });
      }
    }
    for (const entry of this.#written) put(all, entry);
    return all;
  }
}

/** One that is set again keeps its place; one that is deleted loses it. */
function put(all: Map<string, Entry>, entry: Entry): void {
  if (entry.value === undefined) all.delete(keyText(entry.key));
  else all.set(keyText(entry.key), entry);
}
