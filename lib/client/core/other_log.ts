/**
 * What is kept of a log that has gone back in time (a backup was restored, a replica promoted that lacked something): the
 * `epoch` of a login reply is another one then.
 *
 * @module
 */

import type { ConversationPosition } from "./inbox.ts";
import type { ClientStore } from "./store.ts";

/**
 * Goes back, before the session takes its positions from the store, to what the two logs have in common: what the server
 * itself knows that we have. The rest is read again. `positions` are those of the login reply; conversations that it does not
 * name begin anew. `now` is ms since the epoch.
 */
export function fallBack(
  store: ClientStore,
  positions: readonly ConversationPosition[],
  now: number,
): void {
  const byId = new Map(positions.map((position) => [position.conversation, position]));
  store.transaction(() => {
    for (const { id, base, top, shown } of store.conversations()) {
      const position = byId.get(id);
      if (position === undefined) {
        store.archiveConversation(id, now);
        continue;
      }
      const common = Math.min(top, position.lastSeq, position.delivered);
      store.forgetAbove(id, common);
      store.saveConversation({
        id,
        base: Math.min(base, common),
        top: common,
        shown: Math.min(shown, Math.max(common, position.read)),
      });
    }
  });
}
