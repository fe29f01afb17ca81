import { HeddleError, SerializationError, type SerializationSide } from "@heddle/kernel";
import { toLittleEndian } from "../columns.ts";
import { arrayKinds, DateClass, errorClasses, Tag, VALUE_DEPTH_MAX, VALUE_OBJECTS_MAX } from "./format.ts";
import { HookFailure, type ValueReaderHooks } from "./hooks.ts";
import { SharedReference, sharedDescription } from "./shared.ts";
import { FieldNames, text } from "./text.ts";

/** Reads values of the tagged MessagePack profile (proto/VALUES.md), one after another. Trusts no byte: SerializationError. */
export class ValueReader {
  readonly #side: SerializationSide;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #at = 0;
  /** End of what may be read: of all bytes, or of the extension at hand. */
  #end: number;
  /** Objects of the value at hand, by number; beyond `#objectCount` those of earlier values. */
  readonly #objects: object[] = [];
  #objectCount = 0;
  readonly #names = new FieldNames();
  #depth = 0;

  readonly #hooks: ValueReaderHooks | undefined;

  constructor(bytes: Uint8Array, side: SerializationSide, hooks?: ValueReaderHooks) {
    this.#side = side;
    this.#hooks = hooks;
    this.#bytes = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
  }

  /** The next value. After an error the reader is of no use any more, unless a hook threw it: then it stands before that value again. */
  read(): unknown {
    const [at, end] = [this.#at, this.#end];
    this.#objectCount = 0;
    try {
      return this.#value();
    } catch (error) {
      if (error instanceof HookFailure) {
        [this.#at, this.#end, this.#depth] = [at, end, 0];
        throw error.reason;
      }
      throw error instanceof HeddleError ? error : this.#broken("it cannot be built", { cause: error });
    }
  }

  /** Bytes before the next value. */
  get at(): number {
    return this.#at;
  }

  /** Passes over the next value without building it. */
  skip(): void {
    for (let pending = 1; pending > 0; pending--) {
      this.#need(1);
      const format = this.#bytes[this.#at++] ?? 0;
      if (format < 0x80 || format >= 0xe0 || format === 0xc0 || format === 0xc2 || format === 0xc3) continue;
      if (format < 0x90) pending += this.#claim((format & 0x0f) * 2);
      else if (format < 0xa0) pending += this.#claim(format & 0x0f);
      else if (format < 0xc0) this.#take(format & 0x1f);
      else pending += this.#skipRest(format);
    }
  }

  /** Passes over what follows a format of its own byte; returns how many values still belong to it. */
  #skipRest(format: number): number {
    if (format >= 0xdc) return this.#claim(this.#unsigned(format % 2 === 0 ? 2 : 4) * (format >= 0xde ? 2 : 1));
    if (format >= 0xd9) this.#take(this.#unsigned(1 << (format - 0xd9)));
    else if (format >= 0xd4) this.#take(1 + (1 << (format - 0xd4)));
    else if (format >= 0xd0) this.#take(1 << (format - 0xd0));
    else if (format >= 0xcc) this.#take(1 << (format - 0xcc));
    else if (format === 0xcb) this.#take(8);
    else if (format >= 0xc7 && format <= 0xc9) this.#take(1 + this.#unsigned(1 << (format - 0xc7)));
    else if (format >= 0xc4 && format <= 0xc6) this.#take(this.#unsigned(1 << (format - 0xc4)));
    else throw this.#broken(`there is no format 0x${format.toString(16)}`);
    return 0;
  }

  /** There are no bytes left. */
  end(): void {
    if (this.#at !== this.#end) throw this.#broken(`${this.#end - this.#at} bytes are left over`);
  }

  #value(): unknown {
    if (this.#at >= this.#end) throw this.#broken("they end too early");
    const format = this.#bytes[this.#at++] as number;
    if (format < 0x80) return format;
    if (format >= 0xe0) return format - 0x100;
    if (format < 0x90) return this.#record(format & 0x0f);
    if (format < 0xa0) return this.#array(format & 0x0f);
    if (format < 0xc0) return text(this.#bytes, this.#take(format & 0x1f), this.#at);
    return this.#long(format);
  }

  #long(format: number): unknown {
    switch (format) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#keep(Uint8Array.from(this.#slice(this.#unsigned(1 << (format - 0xc4)))));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#ext(this.#unsigned(1 << (format - 0xc7)));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return this.#view.getBigUint64(this.#take(8));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return this.#view.getBigInt64(this.#take(8));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#ext(1 << (format - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return text(this.#bytes, this.#take(this.#unsigned(1 << (format - 0xd9))), this.#at);
      case 0xdc:
        return this.#array(this.#unsigned(2));
      case 0xdd:
        return this.#array(this.#unsigned(4));
      case 0xde:
        return this.#record(this.#unsigned(2));
      case 0xdf:
        return this.#record(this.#unsigned(4));
      default:
        throw this.#broken(`there is no format 0x${format.toString(16)}`);
    }
  }

  #array(length: number): unknown[] {
    this.#claim(length);
    const array: unknown[] = this.#keep([]);
    this.#enter();
    for (let index = 0; index < length; index++) {
      if (this.#takeHole()) array.length = index + 1;
      else array.push(this.#value());
    }
    this.#depth--;
    return array;
  }

  #record(count: number): Record<string, unknown> {
    this.#claim(count * 2);
    const record: Record<string, unknown> = this.#keep({});
    this.#enter();
    for (let field = 0; field < count; field++) {
      const key = this.#key();
      const value = this.#value();
      if (key === "__proto__") setField(record, key, value);
      else record[key] = value;
    }
    this.#depth--;
    return record;
  }

  #key(): string {
    const at = this.#at;
    const format = at < this.#end ? (this.#bytes[at] as number) : 0;
    if (format >= 0xa0 && format < 0xc0) {
      const end = at + 1 + (format & 0x1f);
      if (end > this.#end) throw this.#broken("they end too early");
      this.#at = end;
      return this.#names.read(this.#bytes, at + 1, end);
    }
    const key = this.#value();
    if (typeof key !== "string") throw this.#broken("a field's name is not a string");
    return key;
  }

  #ext(size: number): unknown {
    this.#need(1 + size);
    const tag = this.#bytes[this.#at++];
    const end = this.#at + size;
    const outer = this.#end;
    this.#end = end;
    const value = this.#tagged(tag, size);
    this.#end = outer;
    if (this.#at !== end) throw this.#broken("an extension has bytes left over");
    return value;
  }

  #tagged(tag: number | undefined, size: number): unknown {
    switch (tag) {
      case Tag.UNDEFINED:
        this.#take(1);
        return undefined;
      case Tag.REFERENCE: {
        const number = this.#unsigned(size);
        if (number >= this.#objectCount) throw this.#broken(`object ${number} was not seen yet`);
        return this.#objects[number];
      }
      case Tag.BIGINT:
        return BigInt.asIntN(size * 8, BigInt(`0x${this.#slice(size).toString("hex")}`));
      case Tag.STRING16:
        if (size % 2 !== 0) throw this.#broken("half a UTF-16 unit");
        return this.#slice(size).toString("utf16le");
      case Tag.DATE:
        return this.#keep(new DateClass(this.#view.getFloat64(this.#take(8))));
      case Tag.REGEXP:
        return this.#keep(new RegExp(this.#string(), this.#string()));
      case Tag.MAP:
        return this.#map();
      case Tag.SET:
        return this.#set();
      case Tag.ARRAY_BUFFER:
        return this.#keep(Uint8Array.from(this.#slice(size)).buffer);
      case Tag.TYPED_ARRAY:
        return this.#typedArray(size);
      case Tag.BOXED:
        return this.#boxed();
      case Tag.ERROR:
        return this.#error();
      case Tag.FUNCTION:
        return this.#function();
      case Tag.SHARED:
        return this.#shared();
      default:
        throw this.#broken(`there is no extension ${tag}`);
    }
  }

  #map(): Map<unknown, unknown> {
    const map = this.#keep(new Map<unknown, unknown>());
    this.#enter();
    while (this.#at < this.#end) {
      const key = this.#value();
      map.set(key, this.#value());
    }
    this.#depth--;
    return map;
  }

  #set(): Set<unknown> {
    const set = this.#keep(new Set<unknown>());
    this.#enter();
    while (this.#at < this.#end) set.add(this.#value());
    this.#depth--;
    return set;
  }

  #typedArray(size: number): object {
    const kind = arrayKinds[this.#unsigned(1)];
    if (kind?.view === undefined) throw this.#broken(`this Node.js has no ${kind?.name ?? "such typed array"}`);
    if ((size - 1) % kind.width !== 0) throw this.#broken(`a ${kind.name} of ${size - 1} bytes`);
    const content = toLittleEndian(Uint8Array.from(this.#slice(size - 1)), kind.width);
    return this.#keep(new kind.view(content.buffer as ArrayBuffer));
  }

  #boxed(): object {
    const primitive = this.#value();
    if (typeof primitive === "object" || primitive === undefined) throw this.#broken("a box without a primitive");
    return this.#keep(Object(primitive) as object);
  }

  #function(): unknown {
    const number = this.#objectCount;
    this.#keep({}); // its place: nothing inside can refer to it
    this.#enter();
    const description = this.#value();
    this.#depth--;
    const revive = this.#hooks?.reviveFunction;
    if (revive === undefined) throw this.#broken("a function, which cannot be made here");
    const revived = HookFailure.guard(() => revive(description));
    this.#objects[number] = revived as object;
    return revived;
  }

  #shared(): object {
    const number = this.#objectCount;
    this.#keep({}); // its place: nothing inside can refer to it
    this.#enter();
    const description = sharedDescription(this.#value());
    this.#depth--;
    if (description === undefined) throw this.#broken("a shared object is described wrongly");
    const revive = this.#hooks?.reviveShared;
    const revived =
      revive === undefined ? new SharedReference(description) : HookFailure.guard(() => revive(description));
    this.#objects[number] = revived;
    return revived;
  }

  #error(): Error {
    const className = this.#string();
    const name = this.#string();
    const message = this.#string();
    const stack = this.#takeHole() ? undefined : this.#string();
    const error = this.#keep(newError(className, message));
    if (error.name !== name) setHidden(error, "name", name);
    setHidden(error, "stack", stack ?? `${name}: ${message}`);
    this.#enter();
    for (const hidden of ["cause", "errors"]) {
      if (!this.#takeHole()) setHidden(error, hidden, this.#value());
    }
    for (let left = this.#fieldCount(); left > 0; left--) {
      const field = this.#key();
      setField(error, field, this.#value());
    }
    this.#depth--;
    return error;
  }

  /** The header of a map that is no object of its own. */
  #fieldCount(): number {
    const format = this.#unsigned(1);
    if (format >= 0x80 && format < 0x90) return this.#claim(format & 0x0f);
    if (format === 0xde || format === 0xdf) return this.#claim(this.#unsigned(format === 0xde ? 2 : 4));
    throw this.#broken("an error without fields");
  }

  #string(): string {
    const value = this.#value();
    if (typeof value !== "string") throw this.#broken("a string is missing");
    return value;
  }

  #takeHole(): boolean {
    const at = this.#at;
    if (at + 3 > this.#end || this.#bytes[at] !== 0xd4 || this.#bytes[at + 1] !== Tag.HOLE) return false;
    this.#at += 3;
    return true;
  }

  /** Numbers an object, before anything inside it is read. */
  #keep<T extends object>(object: T): T {
    if (this.#objectCount >= VALUE_OBJECTS_MAX) throw this.#broken(`more than ${VALUE_OBJECTS_MAX} objects`);
    this.#objects[this.#objectCount++] = object;
    return object;
  }

  #enter(): void {
    if (++this.#depth > VALUE_DEPTH_MAX) throw this.#broken(`more than ${VALUE_DEPTH_MAX} containers deep`);
  }

  #unsigned(size: number): number {
    const at = this.#take(size);
    switch (size) {
      case 1:
        return this.#view.getUint8(at);
      case 2:
        return this.#view.getUint16(at);
      case 4:
        return this.#view.getUint32(at);
      default:
        throw this.#broken(`an integer of ${size} bytes`);
    }
  }

  #slice(size: number): Buffer {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** Passes over `size` bytes; returns where they begin. */
  #take(size: number): number {
    this.#need(size);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  #need(size: number): void {
    if (size > this.#end - this.#at) throw this.#broken("they end too early");
  }

  /** A container claims so many values: each is a byte at least. */
  #claim(count: number): number {
    this.#need(count);
    return count;
  }

  #broken(why: string, options?: ErrorOptions): SerializationError {
    const message = `these bytes are not a value: ${why} (at byte ${this.#at} of ${this.#bytes.length})`;
    return new SerializationError(message, { path: "$", side: this.#side }, options);
  }
}

function newError(className: string, message: string): Error {
  if (className === "AggregateError") return new AggregateError([], message);
  const ErrorClass = errorClasses.get(className) ?? Error;
  return new ErrorClass(message);
}

function setHidden(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
}

function setField(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}
