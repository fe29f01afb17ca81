import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { PROOF_VALID_MS, PROOFS_REMEMBERED } from "./limits.ts";
import { checkServerProof, makeProof, PROOF_NONCE_BYTES, ProofChecker } from "./proof.ts";

const token = randomBytes(32).toString("base64url");
const path = "/heddle.v1.Jobs/Run";
const startMs = 1_700_000_000_000;
const known = { text: token, sinceMs: startMs - 10 * PROOF_VALID_MS };

/** A checker and the time that it goes by. */
function checking() {
  const time = { nowMs: startMs };
  return { time, checker: new ProofChecker({ nowMs: () => time.nowMs }) };
}

function proofAt(ms: number): string {
  return makeProof(token, path, ms, randomBytes(PROOF_NONCE_BYTES));
}

test("a client that knows the token is believed, and believes the server that answers its proof", () => {
  const sent = proofAt(startMs);
  const found = checking().checker.check(known, path, sent);
  expect(found).toMatchObject({ ok: true });
  expect(checkServerProof(token, path, sent, found.ok ? found.answer : undefined)).toBe(true);
});

test("a proof has the shape that is written down, so that another language can make it", () => {
  const sent = makeProof("the token", path, startMs, new Uint8Array(PROOF_NONCE_BYTES));
  expect(sent).toBe("1.1700000000000.AAAAAAAAAAAAAAAAAAAAAA.mN_7g-_yRuwOD8jXy6AKxmNX44M-JNk6brOjBkh9Xzo");
});

test("a proof with any one bit of it changed is refused, and so is an answer", () => {
  const sent = proofAt(startMs);
  const { checker } = checking();
  for (const changed of withOneBitChanged(sent)) {
    expect(checker.check(known, path, changed)).toMatchObject({ ok: false });
  }
  const found = checker.check(known, path, sent);
  expect(found.ok).toBe(true);
  for (const changed of withOneBitChanged(found.ok ? found.answer : "")) {
    expect(checkServerProof(token, path, sent, changed)).toBe(false);
  }
});

test("a proof is good once", () => {
  const { checker } = checking();
  const sent = proofAt(startMs);
  expect(checker.check(known, path, sent).ok).toBe(true);
  expect(checker.check(known, path, sent)).toEqual({ ok: false, why: "a proof that was used before" });
});

test.each([
  ["as early as may be", PROOF_VALID_MS, true],
  ["earlier", PROOF_VALID_MS + 1, false],
  ["as late as may be", -PROOF_VALID_MS, true],
  ["later", -PROOF_VALID_MS - 1, false],
])("a proof that comes %s is judged by its time", (_when, offMs, isGood) => {
  expect(checking().checker.check(known, path, proofAt(startMs + offMs)).ok).toBe(isGood);
});

test("a proof that was made before the server had its address is early, for whoever listened there may have come by it", () => {
  const { checker, time } = checking();
  const begun = { ...known, sinceMs: startMs };
  const why = "a proof made before this server began";
  expect(checker.check(begun, path, proofAt(startMs - 1))).toEqual({ ok: false, why, isEarly: true });
  expect(checker.check(begun, path, proofAt(startMs)).ok).toBe(true);
  time.nowMs = startMs - 1_000; // the clock was put back: clients go by it, too
  expect(checker.check(begun, path, proofAt(startMs - 1_000)).ok).toBe(true);
});

test("a proof stays used for as long as its time is good", () => {
  const { checker, time } = checking();
  const early = proofAt(startMs + PROOF_VALID_MS);
  expect(checker.check(known, path, early).ok).toBe(true);
  for (let offMs = 0; offMs <= 2 * PROOF_VALID_MS; offMs += PROOF_VALID_MS / 4) {
    time.nowMs = startMs + offMs;
    expect(checker.check(known, path, proofAt(time.nowMs)).ok).toBe(true);
    expect(checker.check(known, path, early).ok).toBe(false);
  }
});

test("a proof for another path or of another token is refused, and so is such an answer", () => {
  const { checker } = checking();
  const sent = proofAt(startMs);
  const why = "a proof of another token or for another method";
  expect(checker.check(known, "/heddle.v1.Jobs/Ru", sent)).toEqual({ ok: false, why });
  expect(checker.check({ ...known, text: `${token}x` }, path, sent)).toEqual({ ok: false, why });
  const found = checker.check(known, path, sent);
  const answer = found.ok ? found.answer : undefined;
  expect(checkServerProof(token, "/heddle.v1.Nodes/Attach", sent, answer)).toBe(false);
  expect(checkServerProof(`${token}x`, path, sent, answer)).toBe(false);
  expect(checkServerProof(token, path, proofAt(startMs), answer)).toBe(false);
});

test("what a client sent is no answer, in whole or in part", () => {
  const sent = proofAt(startMs);
  expect(checkServerProof(token, path, sent, sent)).toBe(false);
  expect(checkServerProof(token, path, sent, `1.${sent.split(".").at(-1)}`)).toBe(false);
  expect(checkServerProof(token, path, sent, undefined)).toBe(false);
  expect(checkServerProof(token, path, "", "")).toBe(false);
});

test("a server's answer is no proof", () => {
  const { checker } = checking();
  const sent = proofAt(startMs);
  const found = checker.check(known, path, sent);
  const mac = found.ok ? found.answer.slice(2) : "";
  const reflected = sent.replace(/[^.]+$/, mac);
  expect(new ProofChecker({ nowMs: () => startMs }).check(known, path, reflected).ok).toBe(false);
});

test.each([
  "",
  ".",
  "...",
  "1...",
  "2.1700000000000.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "1.NaN.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "1.-1.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "1.99999999999999999999.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "\u0000\ud800\n1.1.é",
  "x".repeat(1_000_000),
  "1.".repeat(500_000),
])("garbage is refused and nothing is thrown (case %#)", (garbage) => {
  expect(checking().checker.check(known, path, garbage)).toEqual({ ok: false, why: "a proof that is none" });
  expect(checkServerProof(token, path, proofAt(startMs), garbage)).toBe(false);
});

test("a million proofs are remembered within bounds, and one that is forgotten is refused nevertheless", () => {
  const { checker, time } = checking();
  const first = proofAt(time.nowMs);
  expect(checker.check(known, path, first).ok).toBe(true);
  const nonce = Buffer.alloc(PROOF_NONCE_BYTES);
  for (let index = 0; index < 1_000_000; index++) {
    if (index % 20_000 === 0) time.nowMs += 1;
    nonce.writeUInt32BE(index);
    if (!checker.check(known, path, makeProof(token, path, time.nowMs, nonce)).ok) expect.fail(`${index} was refused`);
    if (checker.rememberedCount > 2 * PROOFS_REMEMBERED) expect.fail(`${checker.rememberedCount} are remembered`);
  }
  expect(checker.check(known, path, first)).toEqual({ ok: false, why: "a proof older than what is remembered" });
  expect(checker.check(known, path, proofAt(time.nowMs + 1)).ok).toBe(true);
}, 120_000);

test("what nobody can use again is forgotten", () => {
  const { checker, time } = checking();
  for (let count = 0; count < 100; count++) checker.check(known, path, proofAt(time.nowMs));
  for (let generation = 0; generation < 2; generation++) {
    time.nowMs += 2 * PROOF_VALID_MS + 1;
    expect(checker.check(known, path, proofAt(time.nowMs)).ok).toBe(true);
  }
  expect(checker.rememberedCount).toBe(2);
});

/** Each character with each of its low seven bits changed. */
function* withOneBitChanged(text: string): Iterable<string> {
  for (let at = 0; at < text.length; at++) {
    for (let bit = 0; bit < 7; bit++) {
      const changed = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
      yield text.slice(0, at) + changed + text.slice(at + 1);
    }
  }
}
