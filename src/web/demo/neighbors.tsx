// The neighbours: what the prompt finds, live, and the user's own pictures.
import { useEffect, useState } from "preact/hooks";
import type { Picture } from "../../index.ts";
import { addPictures, bringBack, exclude, removePicture, renamePicture, tile, togglePin } from "./actions.ts";
import type { FoundNeighbor } from "./protocol.ts";
import { type OwnCard, useStore } from "./store.ts";
import { Tile } from "./tile.tsx";

const count = new Intl.NumberFormat("en");

/** Cards of all neighbours, and a place to bring more. */
export function Neighbors() {
  const found = useStore((state) => state.found);
  const own = useStore((state) => state.own);
  const entries = useStore((state) => state.entries);
  const excluded = useStore((state) => state.recipe.excluded.length);
  const pinned = useStore((state) => state.recipe.pinned);
  const k = useStore((state) => state.recipe.k);
  const best = Math.max(...found.map(({ score }) => score), 1e-9);
  const wanted = Math.min(k, 8 - own.length);
  return (
    <section class="neighbors" aria-labelledby="neighbors-title">
      <h2 id="neighbors-title">Neighbours</h2>
      <p class="soft" role="status">
        {entries === undefined
          ? "Opening the database …"
          : `${found.length} found among ${count.format(entries)} pictures${found.length < wanted ? ": no more match these words" : ""}.`}
        {excluded > 0 && (
          <>
            {` ${excluded} left out. `}
            <button type="button" class="link" onClick={bringBack}>
              Bring back
            </button>
          </>
        )}
      </p>
      <ul class="cards">
        {own.map((card) => (
          <OwnNeighbor key={`own-${card.id}`} card={card} />
        ))}
        {found.map((neighbor) => (
          <Found
            key={neighbor.id}
            neighbor={neighbor}
            share={neighbor.score / best}
            pinned={pinned.includes(neighbor.id)}
          />
        ))}
        {own.length < 8 && (
          <li class="card">
            <label class="bring">
              <input
                type="file"
                accept="image/*"
                multiple
                onChange={(event) => {
                  void addPictures([...(event.currentTarget.files ?? [])]);
                  event.currentTarget.value = "";
                }}
              />
              <span class="plus" aria-hidden="true">
                +
              </span>
              <span>
                Your own picture: <span class="wide">drop it, paste it or </span>choose it
              </span>
            </label>
          </li>
        )}
      </ul>
    </section>
  );
}

function Found({ neighbor, share, pinned }: { neighbor: FoundNeighbor; share: number; pinned: boolean }) {
  const { id, entity, style, score, heldOut } = neighbor;
  const [picture, setPicture] = useState<Picture>();
  useEffect(() => {
    void tile(id).then(setPicture, () => undefined);
  }, [id]);
  return (
    <li class={pinned ? "card pinned" : "card"}>
      <div class="frame">
        <Tile picture={picture} alt={`${entity}, ${style}`} />
        <div class="card-buttons">
          <button
            type="button"
            aria-pressed={pinned}
            aria-label={`Keep ${entity}, ${style}`}
            title={pinned ? "Kept for every prompt" : "Keep for every prompt"}
            onClick={() => togglePin(id)}
          >
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M5 1.5h6l-.8 5 2.3 2.5v1H3.5V9l2.3-2.5zM8 10v5" />
            </svg>
          </button>
          <button
            type="button"
            aria-label={`Leave out ${entity}, ${style}`}
            title="Leave out"
            onClick={() => exclude(id)}
          >
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M3.5 3.5l9 9m0-9l-9 9" />
            </svg>
          </button>
        </div>
      </div>
      <p class="name">{entity}</p>
      <p class="soft small">{heldOut ? `${style}, never trained on` : style}</p>
      <div class="score" title="BM25 score">
        <div class="bar" style={{ width: `${share * 100}%` }} />
      </div>
      <p class="soft small">score {score.toFixed(2)}</p>
    </li>
  );
}

function OwnNeighbor({ card: { id, caption, tile } }: { card: OwnCard }) {
  return (
    <li class="card pinned">
      <div class="frame">
        <Tile picture={tile} alt={`your picture of ${caption}`} />
        <div class="card-buttons">
          <button type="button" aria-label={`Remove ${caption}`} title="Remove" onClick={() => removePicture(id)}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M3.5 3.5l9 9m0-9l-9 9" />
            </svg>
          </button>
        </div>
      </div>
      <label class="soft small" for={`caption-${id}`}>
        It shows
      </label>
      <input
        id={`caption-${id}`}
        type="text"
        class="caption"
        value={caption}
        maxLength={80}
        onInput={(event) => renamePicture(id, event.currentTarget.value)}
      />
    </li>
  );
}
