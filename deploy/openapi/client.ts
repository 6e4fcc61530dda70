// A generated client has a type for the items of each list.
import type { components as Commands } from "./commands";
import type { components as Queries } from "./queries";

export type Room = Queries["schemas"]["Room"];
export type Reservation = Queries["schemas"]["Reservation"];
export type HistoryEntry = Queries["schemas"]["HistoryEntry"];
export type HistoryAction = Queries["schemas"]["HistoryAction"];
export type Rooms = Queries["schemas"]["List_Room"];
export type Head = Commands["schemas"]["Head"];
export type FeedEvent = Commands["schemas"]["FeedEvent"];
export type Effect = Commands["schemas"]["Effect"];
export type Problem = Commands["schemas"]["Problem"];

export const names = (rooms: Rooms): string[] => rooms.items.map((room: Room) => room.name);
export const made: HistoryAction = "made";
export const version = (head: Head): number => head.version;
