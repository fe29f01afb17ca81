import { HeddleError, LimitError, SerializationError, type SerializationSide } from "@heddle/kernel";
import { toLittleEndian } from "../columns.ts";
import { errorClassOf, formOf } from "./classify.ts";
import { arrayKinds, DateClass, Tag, VALUE_DEPTH_MAX, VALUE_OBJECTS_MAX } from "./format.ts";
import { HookFailure, type ValueWriterHooks } from "./hooks.ts";
import { pathOf, Step } from "./path.ts";
import { ScalarWriter } from "./scalar-writer.ts";
import { isShared, type Shared, shared } from "./shared.ts";

/** Objects of a value that are looked up by walking a list; from there on by a Map. */
const LISTED_OBJECTS_MAX = 12;

/** Writes values of the tagged MessagePack profile (proto/VALUES.md), one after another. */
export class ValueWriter {
  readonly #side: SerializationSide;
  readonly #out = new ScalarWriter();
  /** First objects of the value at hand, by number. */
  readonly #listed: object[] = [];
  /** All objects of the value at hand, once they are more than the list holds. */
  #numbers: Map<object, number> | undefined;
  #objectCount = 0;
  /** Containers around the value at hand. */
  #depth = 0;
  /** How and by what key the path goes on below each container, 1..depth: for error messages. */
  readonly #steps: Step[] = [];
  readonly #keys: unknown[] = [];
  /** Methods found in prototypes, "" for none. */
  readonly #classes = new Map<object, string>();

  readonly #hooks: ValueWriterHooks | undefined;

  constructor(side: SerializationSide, hooks?: ValueWriterHooks) {
    this.#side = side;
    this.#hooks = hooks;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#out.at;
  }

  /** Writes one value; on SerializationError (cannot travel) and LimitError (too large) nothing of it stays. */
  write(value: unknown): void {
    const out = this.#out;
    out.itemStart = out.at;
    try {
      this.#value(value);
      out.endItem();
    } catch (error) {
      out.at = out.itemStart;
      if (error instanceof HookFailure) throw error.reason;
      throw error instanceof HeddleError ? error : this.#failure("reading it failed", { cause: error });
    } finally {
      if (this.#objectCount > 0) this.#forgetFrom(0);
      this.#depth = 0;
    }
  }

  /** Everything written. The writer must not be used again. */
  take(): Uint8Array {
    return this.#out.take();
  }

  /** A copy of everything written, in no more memory than it needs; the writer begins anew. */
  cut(): Uint8Array {
    return this.#out.cut();
  }

  #value(value: unknown): void {
    const out = this.#out;
    switch (typeof value) {
      case "string":
        out.string(value);
        break;
      case "number":
        out.number(value);
        break;
      case "boolean":
        out.byte(value ? 0xc3 : 0xc2);
        break;
      case "object":
        if (value === null) out.byte(0xc0);
        else this.#object(value);
        break;
      case "undefined":
        out.mark(Tag.UNDEFINED);
        break;
      case "bigint":
        out.bigint(value);
        break;
      case "function":
        this.#function(value as (...args: never[]) => unknown);
        break;
      case "symbol":
        throw this.#failure(`it is a symbol (${String(value)})`);
    }
  }

  /** Asks the hook once for each function: what is met again is a reference. */
  #function(value: (...args: never[]) => unknown): void {
    const hooks = this.#hooks;
    if (hooks === undefined) throw this.#failure(`it is a ${describeFunction(value)}`);
    if (this.#isKnown(value)) return;
    const description = HookFailure.guard(() => hooks.reduceFunction(value));
    if (description === undefined) throw this.#failure(`it is a ${describeFunction(value)}`);
    const depth = this.#enter(Step.DESCRIPTION);
    const start = this.#out.beginExt(Tag.FUNCTION);
    this.#value(description);
    this.#out.endExt(start);
    this.#depth = depth - 1;
  }

  #object(value: object): void {
    if (this.#isKnown(value)) return;
    const prototype: object | null = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) this.#record(value);
    else if (prototype === Array.prototype && Array.isArray(value)) this.#array(value);
    else this.#special(value, prototype);
  }

  /** Writes a reference when the object was seen before, else gives it the next number. */
  #isKnown(value: object): boolean {
    const count = this.#objectCount;
    if (count <= LISTED_OBJECTS_MAX) {
      for (let number = 0; number < count; number++) {
        if (this.#listed[number] === value) return this.#refer(number);
      }
    } else {
      const number = this.#numbers?.get(value);
      if (number !== undefined) return this.#refer(number);
    }
    if (count >= VALUE_OBJECTS_MAX) throw new LimitError("VALUE_OBJECTS_MAX", VALUE_OBJECTS_MAX, count + 1);
    if (count < LISTED_OBJECTS_MAX) this.#listed[count] = value;
    else {
      this.#numbers ??= new Map(this.#listed.map((listed, number) => [listed, number]));
      this.#numbers.set(value, count);
    }
    this.#objectCount = count + 1;
    return false;
  }

  #refer(number: number): true {
    this.#out.reference(number);
    return true;
  }

  #forgetFrom(count: number): void {
    this.#objectCount = count;
    if (count <= LISTED_OBJECTS_MAX) {
      this.#numbers = undefined;
      this.#listed.length = count;
      return;
    }
    for (const [value, number] of this.#numbers ?? []) if (number >= count) this.#numbers?.delete(value);
  }

  #enter(step: Step): number {
    const depth = ++this.#depth;
    if (depth > VALUE_DEPTH_MAX) throw new LimitError("VALUE_DEPTH_MAX", VALUE_DEPTH_MAX, depth);
    this.#steps[depth] = step;
    return depth;
  }

  #record(value: object): void {
    const fields = value as Record<string, unknown>;
    const names = Object.keys(value);
    const depth = this.#enter(Step.FIELD);
    this.#out.mapHeader(names.length);
    for (const name of names) {
      this.#keys[depth] = name;
      this.#out.string(name);
      this.#value(fields[name]);
    }
    this.#depth = depth - 1;
  }

  #array(value: readonly unknown[]): void {
    const { length } = value;
    const depth = this.#enter(Step.INDEX);
    this.#out.arrayHeader(length);
    this.#out.ensure(length); // an element is a byte at least: an absurd length is refused before the walk
    for (let index = 0; index < length; index++) {
      this.#keys[depth] = index;
      const element = value[index];
      if (element === undefined && !(index in value)) this.#out.mark(Tag.HOLE);
      else this.#value(element);
    }
    this.#depth = depth - 1;
  }

  #special(value: object, prototype: object): void {
    if (isShared(value)) return this.#shared(value);
    const form = formOf(value, prototype, this.#classes);
    switch (form.type) {
      case "record":
        this.#record(value);
        break;
      case "array":
        this.#array(value as unknown[]);
        break;
      case "error":
        this.#error(value as Error, prototype);
        break;
      case "view":
        this.#view(value as ArrayBufferView);
        break;
      case "date":
        this.#out.date(DateClass.prototype.getTime.call(value));
        break;
      case "map":
        this.#map(value as Map<unknown, unknown>);
        break;
      case "set":
        this.#set(value as Set<unknown>);
        break;
      case "buffer":
        this.#buffer(value as ArrayBuffer);
        break;
      case "regexp": {
        const { source, flags } = value as RegExp;
        const start = this.#out.beginExt(Tag.REGEXP);
        this.#out.string(source);
        this.#out.string(flags);
        this.#out.endExt(start);
        break;
      }
      case "boxed": {
        const start = this.#out.beginExt(Tag.BOXED);
        this.#value(value.valueOf());
        this.#out.endExt(start);
        break;
      }
      case "refused":
        throw this.#failure(`it is ${form.what}`);
    }
  }

  #shared(handle: Shared): void {
    const description = HookFailure.guard(() => {
      const described = handle[shared]();
      this.#hooks?.metShared?.(handle, described);
      return described;
    });
    const depth = this.#enter(Step.DESCRIPTION);
    const start = this.#out.beginExt(Tag.SHARED);
    this.#value(description);
    this.#out.endExt(start);
    this.#depth = depth - 1;
  }

  #map(value: Map<unknown, unknown>): void {
    const depth = this.#enter(Step.MAP_KEY);
    const start = this.#out.beginExt(Tag.MAP);
    Map.prototype.forEach.call(value, (content, key) => {
      this.#keys[depth] = key;
      this.#steps[depth] = Step.MAP_KEY;
      this.#value(key);
      this.#steps[depth] = Step.MAP_VALUE;
      this.#value(content);
    });
    this.#out.endExt(start);
    this.#depth = depth - 1;
  }

  #set(value: Set<unknown>): void {
    const depth = this.#enter(Step.ELEMENT);
    const start = this.#out.beginExt(Tag.SET);
    let index = 0;
    Set.prototype.forEach.call(value, (element) => {
      this.#keys[depth] = index++;
      this.#value(element);
    });
    this.#out.endExt(start);
    this.#depth = depth - 1;
  }

  #buffer(value: ArrayBuffer): void {
    if (value.detached) throw this.#failure("it is a detached ArrayBuffer");
    const out = this.#out;
    out.extHeader(Tag.ARRAY_BUFFER, value.byteLength);
    out.bytes.set(new Uint8Array(value), out.at);
    out.at += value.byteLength;
  }

  #view(value: ArrayBufferView): void {
    const out = this.#out;
    const name = viewName(value);
    const content = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (name === "Uint8Array") {
      out.bin(content);
      return;
    }
    const kind = arrayKinds.findIndex((it) => it.name === name);
    if (kind < 0) throw this.#failure(`it is a ${name}`);
    out.extHeader(Tag.TYPED_ARRAY, content.length + 1);
    out.bytes[out.at] = kind;
    out.bytes.set(toLittleEndian(content, arrayKinds[kind]?.width ?? 1), out.at + 1);
    out.at += content.length + 1;
  }

  /** An error always travels: what inside it cannot is replaced by a string that says so. */
  #error(error: Error, prototype: object): void {
    const depth = this.#enter(Step.FIELD);
    const out = this.#out;
    const start = out.beginExt(Tag.ERROR);
    out.string(errorClassOf(prototype) ?? "Error");
    out.string(textOf(error, "name") ?? "Error");
    out.string(textOf(error, "message") ?? "");
    const stack = textOf(error, "stack");
    if (stack === undefined) out.mark(Tag.HOLE);
    else out.string(stack);
    this.#hiddenField(error, "cause", depth);
    this.#hiddenField(error, "errors", depth);
    const names = Object.keys(error).filter((name) => !toldApart.has(name));
    out.mapHeader(names.length);
    for (const name of names) {
      out.string(name);
      this.#field(error, name, depth);
    }
    out.endExt(start);
    this.#depth = depth - 1;
  }

  #hiddenField(error: Error, name: "cause" | "errors", depth: number): void {
    const descriptor = Object.getOwnPropertyDescriptor(error, name);
    if (descriptor === undefined || descriptor.enumerable === true) this.#out.mark(Tag.HOLE);
    else this.#field(error, name, depth);
  }

  #field(error: Error, name: string, depth: number): void {
    const { at } = this.#out;
    const count = this.#objectCount;
    this.#keys[depth] = name;
    try {
      this.#value((error as unknown as Record<string, unknown>)[name]);
    } catch (reason) {
      this.#out.at = at;
      this.#depth = depth;
      this.#forgetFrom(count);
      this.#out.string(`[${reasonFor(name, reason)}]`);
    }
  }

  #failure(what: string, options?: ErrorOptions): SerializationError {
    const path = pathOf(this.#steps, this.#keys, this.#depth);
    return new SerializationError(`${path} cannot travel: ${what}`, { path, side: this.#side }, options);
  }
}

/** Why a field of an error did not travel. */
function reasonFor(name: string, reason: unknown): string {
  if (reason instanceof HookFailure) return `${name} cannot travel: ${messageOf(reason.reason)}`;
  return reason instanceof HeddleError ? reason.message : `${name} cannot travel: reading it failed`;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? (textOf(thrown, "message") ?? "") : "what ships functions refused it";
}

/** Own fields of an error that have places of their own. */
const toldApart: ReadonlySet<string> = new Set(["name", "message", "stack"]);

/** A text of an error, whatever getters or other types its owner gave it. */
function textOf(error: Error, name: "name" | "message" | "stack"): string | undefined {
  try {
    const text: unknown = error[name];
    return text === undefined ? undefined : String(text);
  } catch {
    return `[${name} cannot travel: reading it failed]`; // the thrower's own getter failed: the rest of the error matters more
  }
}

function describeFunction(value: object): string {
  const { name } = value as { name?: unknown };
  return typeof name === "string" && name !== "" ? `function (${name})` : "function";
}

const viewTag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get;

function viewName(value: ArrayBufferView): string {
  return viewTag?.call(value) ?? "DataView";
}
