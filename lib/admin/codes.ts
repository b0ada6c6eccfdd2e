/**
 * Commands about codes that let people sign up or choose a new password.
 *
 * @module
 */
import { type AdminContext, eventOf, pageLines, pageOf, refuse, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { momentText } from "../base/moment.ts";
import type { UserEntry } from "./find.ts";
import { AccessCodes, type CodeKind, createCode, hashCode, storeCode } from "../store/access_codes.ts";
import { pageLink } from "../protocol/page_links.ts";
import { recordEvent } from "../store/admin_events.ts";

const DAY_MS = 86_400_000;
const LIFETIME_MS: Readonly<Record<CodeKind, number>> = { invite: 7 * DAY_MS, password: DAY_MS };

/** `invite`. */
export function invite(context: AdminContext): Promise<Result> {
  return newCode(context, "invite");
}

/** Makes a code and prints it: it is not stored, and cannot be shown again. */
export async function newCode(context: AdminContext, kind: CodeKind, user?: UserEntry): Promise<Result> {
  const { db, options } = context;
  const uses = kind === "password" ? 1 : options.uses ?? 1;
  const created = Date.now();
  const expires = created + (options.lifetimeMs ?? LIFETIME_MS[kind]);
  const code = createCode();
  const note = options.note ?? "";
  const id = await db.transaction(async (tx) => {
    // The one that was given out before is worth nothing any more.
    if (user) await tx.run("DELETE FROM AccessCode WHERE userid = ? AND kind = ?", [user.id, kind]);
    const id = await storeCode(tx, {
      kind,
      hash: hashCode(code),
      userId: user?.id ?? null,
      uses,
      created,
      expires,
      note,
    });
    await recordEvent(
      tx,
      eventOf(context, user ? "code" : "invite", user?.id ?? null, { code: id, uses, expires }),
    );
    return id;
  });
  const link = options.link &&
    pageLink(options.link, { kind: kind === "password" ? "reset" : "invite", code });
  return {
    lines: [
      link ?? code,
      `It is good for ${uses === 1 ? "one use" : `${uses} uses`} until ${momentText(expires)} UTC.`,
    ],
    json: { id, code, ...(link ? { link } : {}), kind, uses, expires, ...(user ? { user: user.id } : {}) },
  };
}

/** `codes list`. */
export async function listCodes({ db, options }: AdminContext): Promise<Result> {
  const page = await pageOf(options, (after, limit) => new AccessCodes(db).list(after, limit));
  const { rows: codes, more } = page;
  const lines = tableLines(
    ["id", "kind", "user", "used", "of", "good until", "note"],
    codes.map(({ id, kind, userid, used, uses, expires, note }) => [
      id,
      kind,
      userid,
      used,
      uses,
      momentText(expires),
      note,
    ]),
  );
  return { lines: pageLines(page, lines), json: { codes, more } };
}

/** `codes withdraw ID`. */
export async function withdrawCode(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  if (!/^\d{1,9}$/.test(word)) {
    throw refuse(`${JSON.stringify(word)} is not the id of a code; codes list shows them`);
  }
  const id = Number(word);
  await context.db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, "withdraw", null, { code: id }));
    const { changes } = await tx.run("DELETE FROM AccessCode WHERE id = ?", [id]);
    // Rolls back.
    if (changes === 0) throw refuse(`There is no code ${id}`);
  });
  return { lines: [`Code ${id} is worth nothing any more.`], json: { id } };
}
