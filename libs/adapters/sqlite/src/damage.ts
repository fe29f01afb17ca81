/** What is kept is not what was stored. The journal's thread knows no errors but its own; outside it is a JournalDamagedError. */
export class Damage extends Error {
  override readonly name = "Damage";
}
