import { type Cell, type Code, checkAddend, checkCell, wrapped } from "./codes.ts";
import type { ObjectsHome } from "./home.ts";
import { encodeName, type Namespace, objectOf } from "./namespace.ts";
import { TransactionEntries } from "./transaction-entries.ts";
import type { TransactionLog } from "./transaction-log.ts";
import { type TransactionRun, TransactionView } from "./transaction-view.ts";
import type { Value } from "./value.ts";

/** A namespace in a transaction: its methods are a Namespace's, what they write is written when the transaction is done. It sees its own writes. */
export class TransactionNamespace<T extends object = Record<string, unknown>> extends TransactionView {
  readonly #home: ObjectsHome;
  readonly #entries: TransactionEntries;

  constructor(run: TransactionRun, log: TransactionLog, namespace: Namespace<T>) {
    super(run);
    this.#home = log.home;
    this.#entries = new TransactionEntries(log, namespace);
  }

  get<N extends keyof T & string>(name: N): Promise<T[N] | undefined> {
    return this.turn(async () => {
      const bytes = await this.#entries.get(encodeName(name, this.#home));
      return bytes === undefined ? undefined : (this.#home.decode(bytes) as T[N]);
    });
  }

  set<N extends keyof T & string>(name: N, value: T[N]): Promise<void> {
    return this.turn(() => this.#entries.set([encodeName(name, this.#home), this.#home.encode(value)]));
  }

  delete(name: keyof T & string): Promise<boolean> {
    return this.turn(async () => {
      const bytes = encodeName(name, this.#home);
      const isThere = (await this.#entries.get(bytes)) !== undefined;
      if (isThere) this.#entries.delete(bytes);
      return isThere;
    });
  }

  toObject(): Promise<Partial<T>> {
    return this.turn(async () => {
      const pairs = (await this.#entries.all()).flatMap(({ key, value }) => [key, value]);
      return objectOf(this.#home, pairs) as Partial<T>;
    });
  }
}

/** A value in a transaction: its methods are a Value's, what they write is written when the transaction is done. It sees its own writes. */
export class TransactionValue<C extends Code = Code> extends TransactionView {
  readonly #log: TransactionLog;
  readonly #value: Value<C>;
  /** As it would be now, once it was read or written. */
  #now: number | bigint | undefined;

  constructor(run: TransactionRun, log: TransactionLog, value: Value<C>) {
    super(run);
    this.#log = log;
    this.#value = value;
  }

  get(): Promise<Cell<C>> {
    return this.turn(() => this.#read());
  }

  set(value: Cell<C>): Promise<void> {
    return this.turn(() => {
      checkCell("a value", this.#value.code, value);
      this.#write(value);
    });
  }

  add(addend: Cell<C>): Promise<Cell<C>> {
    return this.turn(async () => {
      const { code } = this.#value;
      checkAddend(code, addend);
      const now: number | bigint = await this.#read();
      this.#write(typeof now === "bigint" ? now + BigInt(addend) : now + Number(addend));
      return this.#read();
    });
  }

  compareExchange(expected: Cell<C>, value: Cell<C>): Promise<Cell<C>> {
    return this.turn(async () => {
      const { code } = this.#value;
      checkCell("expected", code, expected);
      checkCell("a value", code, value);
      const was = await this.#read();
      if (was === wrapped(code, expected) || (Number.isNaN(was) && Number.isNaN(expected))) this.#write(value);
      return was;
    });
  }

  async #read(): Promise<Cell<C>> {
    if (this.#now === undefined) {
      const { values } = await this.#log.read(this.#value, "cells-get", { numbers: [0] });
      this.#now = this.#log.home.decode(values[0] ?? NO_BYTES) as number | bigint;
    }
    return this.#now as Cell<C>;
  }

  #write(value: number | bigint): void {
    this.#now = wrapped(this.#value.code, value);
    this.#log.write(this.#value, "cells-set", {
      values: [this.#log.home.encode(this.#now)],
      numbers: [0],
      merged: "replace",
    });
  }
}

const NO_BYTES = new Uint8Array();
