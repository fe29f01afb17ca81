import { ClosedError, InvalidArgumentError, JobId, LimitError, StateError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import {
  DESCRIPTION_BYTES_MAX,
  HISTORY_MAX,
  type JobChange,
  type JobStore,
  JobStoreFailedError,
  JobStoreFullError,
  JobStoreLockedError,
  PIECE_BYTES_MAX,
  type StoredJob,
  type StoredJobs,
  type StoredPiece,
  UNCOMMITTED_BYTES_MAX,
  WRITE_BYTES_MAX,
} from "./index.ts";

/** One place where jobs are kept. Disposing it leaves nothing behind. */
export interface JobStoreFixture extends AsyncDisposable {
  /** Opens what is kept there. */
  open(): Promise<JobStore>;
  /** Ends the store that is open as kill -9 of its process would: from then on it can be opened again. */
  kill(): Promise<void>;
  /** Leaves no space for what comes from now on, or some again. For the store that is open. */
  setFull(isFull: boolean): void;
  /** Breaks the disk below the store that is open. */
  breakDisk(): void;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const A = JobId("a");
const B = JobId("b");

/** Changes of which everything is text. */
const added = (job: JobId, spec = `spec of ${job}`): JobChange => ({ type: "job-added", job, spec: bytesOf(spec) });
const noted = (job: JobId, note: string): JobChange => ({ type: "job-noted", job, note: bytesOf(note) });
const coded = (job: JobId, hash: string, code = `code ${hash}`): JobChange => ({
  type: "code-added",
  job,
  hash,
  bytes: bytesOf(code),
});
const fed = (job: JobId, chunk: number, input = `input ${chunk}`): JobChange => ({
  type: "chunk-added",
  job,
  chunk,
  about: bytesOf(`of ${chunk}`),
  input: bytesOf(input),
});
const answered = (job: JobId, answer: number, bytes = `answer ${answer}`): JobChange => ({
  type: "answer-added",
  job,
  answer,
  about: bytesOf(`of ${answer}`),
  bytes: bytesOf(bytes),
});
const inputsDropped = (job: JobId): JobChange => ({ type: "inputs-dropped", job });
const dropped = (job: JobId): JobChange => ({ type: "job-dropped", job });
const entered = (entry: string): JobChange => ({ type: "history-added", entry: bytesOf(entry) });

const pieceInWords = ({ number, about, size }: StoredPiece): string => `${number} ${textOf(about)} ${size}`;

/** A job that has everything, in words. */
export interface JobInWords {
  readonly id: string;
  readonly spec: string;
  readonly note: string | undefined;
  /** "0 of 0 7": number, what is said of it, size. */
  readonly chunks: readonly string[];
  readonly answers: readonly string[];
  readonly code: readonly string[];
}

export function inWords({ id, spec, note, chunks, answers, code }: StoredJob): JobInWords {
  return {
    id,
    spec: textOf(spec),
    note: note && textOf(note),
    chunks: chunks.map(pieceInWords),
    answers: answers.map(pieceInWords),
    code: [...code].sort(),
  };
}

/** A job of which only this much was written. */
const job = (id: JobId, rest: Partial<JobInWords> = {}): JobInWords => ({
  ...{ id, spec: `spec of ${id}`, note: undefined, chunks: [], answers: [], code: [] },
  ...rest,
});

const jobsOf = ({ jobs }: StoredJobs): JobInWords[] => jobs.map(inWords);
const jobsIn = async (store: JobStore): Promise<JobInWords[]> => jobsOf(await store.recover());

/** What every JobStore adapter must do. `make` gives an empty place. */
export function jobStoreContract(name: string, make: () => Promise<JobStoreFixture>): void {
  const openReady = async (place: JobStoreFixture): Promise<JobStore> => {
    const store = await place.open();
    await store.recover();
    return store;
  };

  describe(`${name} keeps jobs`, () => {
    test("a new store is empty", async () => {
      await using place = await make();
      await using store = await place.open();
      expect(await store.recover()).toEqual({ jobs: [], history: [] });
      expect(store.bytes).toBe(0);
      expect(await store.input(A, 0)).toBeUndefined();
      expect(await store.answer(A, 0)).toBeUndefined();
      expect(await store.code(A, "c0de")).toBeUndefined();
    });

    test("what was written is given back to the next owner, the jobs in the order in which they were added", async () => {
      await using place = await make();
      {
        await using store = await openReady(place);
        await store.write([added(B), added(A), coded(A, "f1"), fed(A, 0), fed(A, 1), noted(A, "first")]);
        await store.write([answered(A, 1), answered(A, 0), coded(A, "f2"), noted(A, "second"), fed(B, 0)]);
        await store.write([entered("x"), entered("y")]);
      }
      await using store = await place.open();
      const stored = await store.recover();
      expect(jobsOf(stored)).toEqual([
        job(B, { chunks: ["0 of 0 7"] }),
        job(A, {
          note: "second",
          chunks: ["0 of 0 7", "1 of 1 7"],
          answers: ["0 of 0 8", "1 of 1 8"],
          code: ["f1", "f2"],
        }),
      ]);
      expect(stored.history.map(textOf)).toEqual(["x", "y"]);
      expect(textOf((await store.input(A, 1)) ?? bytesOf(""))).toBe("input 1");
      expect(textOf((await store.answer(A, 0)) ?? bytesOf(""))).toBe("answer 0");
      expect(textOf((await store.code(A, "f2")) ?? bytesOf(""))).toBe("code f2");
      expect(await store.input(A, 2)).toBeUndefined();
      expect(await store.answer(B, 0)).toBeUndefined();
    });

    test("what was acknowledged is there after a kill, and goes on from there", async () => {
      await using place = await make();
      const first = await openReady(place);
      await first.write([added(A), fed(A, 0)]);
      await first.write([fed(A, 1)]);
      await place.kill();
      await using second = await place.open();
      expect(await jobsIn(second)).toEqual([job(A, { chunks: ["0 of 0 7", "1 of 1 7"] })]);
      await second.write([fed(A, 2), answered(A, 0)]);
      await place.kill();
      await using third = await place.open();
      expect(await jobsIn(third)).toEqual([
        job(A, { chunks: ["0 of 0 7", "1 of 1 7", "2 of 2 7"], answers: ["0 of 0 8"] }),
      ]);
    });

    test("writes that nobody awaited leave together, resolve in order, and are seen when they do", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A)]);
      const settled: number[] = [];
      const write = async (at: number): Promise<void> => {
        await store.write([answered(A, at, `bytes of ${at}`)]);
        settled.push(at);
        expect(textOf((await store.answer(A, at)) ?? bytesOf(""))).toBe(`bytes of ${at}`);
      };
      const order = Array.from({ length: 300 }, (_, at) => at);
      const writes = order.map(write);
      await Promise.all([...writes, store.write([]).then(() => settled.push(-1))]);
      expect(settled).toEqual([...order, -1]);
    });

    test("bytes of every size come back as they were, and neither side can change what is kept", async () => {
      await using place = await make();
      const sizes = [0, 1, 200, 4_095, 4_096, 65_537, 3_000_001];
      const pieces = sizes.map((size, at) => new Uint8Array(size).fill(at + 1));
      const isSame = (one: Uint8Array | undefined, at: number): boolean =>
        one !== undefined && Buffer.from(one).equals(new Uint8Array(sizes[at] ?? -1).fill(at + 1));
      {
        await using store = await openReady(place);
        await store.write([added(A)]);
        const about = bytesOf("of it");
        // views into something larger, as what comes from a wire is
        const views = pieces.map((piece) => Buffer.concat([Buffer.alloc(9), piece, Buffer.alloc(9)]).subarray(9, -9));
        await store.write(views.map((input, chunk) => ({ type: "chunk-added", job: A, chunk, about, input })));
        await store.write(views.map((bytes, answer) => ({ type: "answer-added", job: A, answer, about, bytes })));
        for (const view of [...views, about]) view.fill(0);
        for (const at of sizes.keys()) (await store.input(A, at))?.fill(0);
        for (const at of sizes.keys()) expect([at, isSame(await store.input(A, at), at)]).toEqual([at, true]);
      }
      await using store = await place.open();
      const [found] = (await store.recover()).jobs;
      expect(found?.answers.map(({ size }) => size)).toEqual(sizes);
      expect(found?.chunks.map(({ about }) => textOf(about))).toEqual(sizes.map(() => "of it"));
      for (const at of sizes.keys()) expect([at, isSame(await store.answer(A, at), at)]).toEqual([at, true]);
    });

    test("what is there already is left as it is, and what is said of a job that is not there changes nothing", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A), fed(A, 0), answered(A, 7), coded(A, "f1")]);
      const { bytes } = store;
      await store.write([fed(A, 0, "other"), answered(A, 7, "other"), coded(A, "f1", "other")]);
      await store.write([fed(B, 3), answered(B, 0), coded(B, "f1"), noted(B, "b"), inputsDropped(B), dropped(B)]);
      expect(store.bytes).toBe(bytes);
      expect(textOf((await store.input(A, 0)) ?? bytesOf(""))).toBe("input 0");
      expect(textOf((await store.answer(A, 7)) ?? bytesOf(""))).toBe("answer 7");
      expect(textOf((await store.code(A, "f1")) ?? bytesOf(""))).toBe("code f1");
      await place.kill();
      await using next = await place.open();
      expect(await jobsIn(next)).toEqual([job(A, { chunks: ["0 of 0 7"], answers: ["7 of 7 8"], code: ["f1"] })]);
      expect(next.bytes).toBe(bytes);
    });

    test("dropping the inputs of a job leaves its spec, note and answers; later ones change nothing", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A), fed(A, 0), fed(A, 1), coded(A, "f1"), answered(A, 0), noted(A, "ends")]);
      await store.write([inputsDropped(A)]);
      const bytes = "spec of a".length + "answer 0".length;
      expect(store.bytes).toBe(bytes);
      expect([await store.input(A, 0), await store.code(A, "f1")]).toEqual([undefined, undefined]);
      await store.write([fed(A, 2), fed(A, 0), coded(A, "f1")]);
      expect(store.bytes).toBe(bytes);
      const left = job(A, { note: "ends", answers: ["0 of 0 8"] });
      await place.kill();
      await using next = await place.open();
      expect(await jobsIn(next)).toEqual([left]);
      await next.write([fed(A, 0), fed(A, 9), coded(A, "f1"), answered(A, 1), inputsDropped(A)]);
      expect(await next.input(A, 0)).toBeUndefined();
      expect(next.bytes).toBe(bytes + "answer 1".length);
      await place.kill();
      await using third = await place.open();
      expect(await jobsIn(third)).toEqual([{ ...left, answers: ["0 of 0 8", "1 of 1 8"] }]);
    });

    test("nothing of a job that was dropped is there, and its id is free", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A), fed(A, 0), coded(A, "f1"), answered(A, 0), noted(A, "old"), added(B)]);
      await store.write([dropped(A)]);
      expect(store.bytes).toBe("spec of b".length);
      expect([await store.input(A, 0), await store.answer(A, 0), await store.code(A, "f1")]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      await store.write([added(A, "anew"), fed(A, 0, "new"), dropped(B), added(B, "again"), inputsDropped(B)]);
      expect(textOf((await store.input(A, 0)) ?? bytesOf(""))).toBe("new");
      expect(await store.answer(A, 0)).toBeUndefined();
      await place.kill();
      await using next = await place.open();
      expect(await jobsIn(next)).toEqual([job(A, { spec: "anew", chunks: ["0 of 0 3"] }), job(B, { spec: "again" })]);
      expect(next.bytes).toBe("anew".length + "new".length + "again".length);
    });

    test("of the history the newest are kept", async () => {
      await using place = await make();
      {
        await using store = await openReady(place);
        const entries = Array.from({ length: HISTORY_MAX + 5 }, (_, at) => entered(`entry ${at}`));
        await store.write(entries.slice(0, HISTORY_MAX));
        for (const entry of entries.slice(HISTORY_MAX)) await store.write([entry]);
      }
      await using store = await place.open();
      const { history } = await store.recover();
      expect(history).toHaveLength(HISTORY_MAX);
      expect([history.at(0), history.at(-1)].map((entry) => entry && textOf(entry))).toEqual([
        "entry 5",
        `entry ${HISTORY_MAX + 4}`,
      ]);
    });
  });

  describe(`${name} refuses`, () => {
    test("everything before it was recovered, and to be recovered twice", async () => {
      await using place = await make();
      await using store = await place.open();
      await expect(store.write([added(A)])).rejects.toThrow(StateError);
      await expect(store.answer(A, 0)).rejects.toThrow(StateError);
      await store.recover();
      await expect(store.recover()).rejects.toThrow(StateError);
      await store.write([added(A)]);
    });

    test("everything after it was disposed, which stores what was written before, once", async () => {
      await using place = await make();
      const store = await openReady(place);
      const written = store.write([added(A)]);
      const disposed = [store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()];
      await expect(store.write([added(B)])).rejects.toThrow(ClosedError);
      await expect(store.input(A, 0)).rejects.toThrow(ClosedError);
      await Promise.all([written, ...disposed]);
      await expect(store.recover()).rejects.toThrow(ClosedError);
      await using next = await place.open();
      expect(await jobsIn(next)).toEqual([job(A)]);
    });

    test("a second owner while the first lives", async () => {
      await using place = await make();
      {
        await using first = await openReady(place);
        await expect(place.open()).rejects.toThrow(JobStoreLockedError);
        await first.write([added(A)]);
      }
      await using second = await place.open();
      expect(await jobsIn(second)).toEqual([job(A)]);
    });

    test("a job that is there, a chunk that is not the next, and all that was written with them; others go on", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A), fed(A, 0)]);
      const writes = [
        store.write([answered(A, 0), added(A)]),
        store.write([answered(A, 1)]),
        store.write([fed(A, 1), fed(A, 3)]),
        store.write([fed(A, 1, "next")]),
        store.write([added(B), fed(B, 1)]),
        store.write([added(B)]),
        store.write([answered(A, 0.5)]),
      ];
      const settled = await Promise.allSettled(writes);
      expect(settled.map((one) => one.status === "fulfilled" || one.reason instanceof InvalidArgumentError)).toEqual(
        settled.map(() => true),
      );
      expect(settled.map(({ status }) => status)).toEqual([
        "rejected",
        "fulfilled",
        "rejected",
        "fulfilled",
        "rejected",
        "fulfilled",
        "rejected",
      ]);
      await place.kill();
      await using next = await place.open();
      expect(await jobsIn(next)).toEqual([job(A, { chunks: ["0 of 0 7", "1 of 1 4"], answers: ["1 of 1 8"] }), job(B)]);
    });

    test("what is too large, and nothing of its write is stored", async () => {
      await using place = await make();
      await using store = await openReady(place);
      await store.write([added(A)]);
      const { bytes } = store;
      const about = bytesOf("");
      const large = new Uint8Array(PIECE_BYTES_MAX + 1);
      const half = large.subarray(0, WRITE_BYTES_MAX / 2 + 1);
      const answer = (number: number, of: Uint8Array): JobChange => ({
        type: "answer-added",
        job: A,
        answer: number,
        about,
        bytes: of,
      });
      const note: JobChange = { type: "job-noted", job: A, note: large.subarray(0, DESCRIPTION_BYTES_MAX + 1) };
      await expect(store.write([fed(A, 0), answer(0, large)])).rejects.toThrow(LimitError);
      await expect(store.write([fed(A, 0), note])).rejects.toThrow(LimitError);
      await expect(store.write([answer(0, half), answer(1, half)])).rejects.toThrow(LimitError);
      expect(store.bytes).toBe(bytes);
      await store.write([fed(A, 0)]);
    });

    test("more than may wait for the disk", async () => {
      await using place = await make();
      await using store = await openReady(place);
      // of a job that is not there: refused or not, none of it goes to disk
      const change: JobChange = { type: "code-added", job: B, hash: "f1", bytes: new Uint8Array(PIECE_BYTES_MAX) };
      const fitting = Math.floor(UNCOMMITTED_BYTES_MAX / PIECE_BYTES_MAX);
      const writes = Array.from({ length: fitting + 1 }, () => store.write([change]));
      const settled = await Promise.allSettled(writes);
      expect(settled.map(({ status }) => status)).toEqual([
        ...Array.from({ length: fitting }, () => "fulfilled"),
        "rejected",
      ]);
      expect(await Promise.resolve(writes.at(-1)).catch((error: unknown) => error)).toBeInstanceOf(LimitError);
      await store.write([change]);
    });
  });

  describe(`${name} on a disk that does not keep up`, () => {
    test("without space a write is refused and changes nothing; the next ones go on when there is some", async () => {
      await using place = await make();
      {
        await using store = await openReady(place);
        await store.write([added(A), fed(A, 0), answered(A, 0)]);
        const { bytes } = store;
        place.setFull(true);
        const refused = [
          store.write([fed(A, 1), noted(A, "lost")]),
          store.write([answered(A, 1)]),
          store.write([dropped(A), added(B)]),
        ];
        for (const write of refused) await expect(write).rejects.toThrow(JobStoreFullError);
        expect(store.bytes).toBe(bytes);
        place.setFull(false);
        expect(textOf((await store.answer(A, 0)) ?? bytesOf(""))).toBe("answer 0");
        await store.write([fed(A, 1), added(B)]);
        await store.write([answered(A, 2)]);
        expect(store.bytes).toBe(bytes + "input 1".length + "answer 2".length + "spec of b".length);
      }
      await using store = await place.open();
      expect(await jobsIn(store)).toEqual([
        job(A, { chunks: ["0 of 0 7", "1 of 1 7"], answers: ["0 of 0 8", "2 of 2 8"] }),
        job(B),
      ]);
    });

    test("on a broken disk everything fails for good, and a restart shows what was kept before", async () => {
      await using place = await make();
      const store = await openReady(place);
      await store.write([added(A)]);
      place.breakDisk();
      const failing = [store.write([answered(A, 0)]), store.write([answered(A, 1)])];
      for (const write of failing) await expect(write).rejects.toThrow(JobStoreFailedError);
      await expect(store.write([answered(A, 2)])).rejects.toThrow(JobStoreFailedError);
      await expect(store.answer(A, 0)).rejects.toThrow(JobStoreFailedError);
      await store[Symbol.asyncDispose]();
      await using next = await place.open();
      const [found] = await jobsIn(next);
      const both = ["0 of 0 8", "1 of 1 8"]; // they left together
      expect([job(A), job(A, { answers: both })]).toContainEqual(found);
    });
  });
}
