"""The style sheet: light and dark, phone and desktop. The colours of series keep apart for colour-blind readers."""

CSS = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--line:#d8dee4;--card:#f6f8fa;--link:#0a5fa8;
--c0:#0067b1;--c1:#c8500a;--c2:#00805c;--c3:#a83f7f;--c4:#8a6500;--c5:#5b4bc4;--c6:#5f6770;--c7:#b3261e;
--b0:#0067b1;--b1:#4da3dd;--b2:#00805c;--b3:#58b896;--b4:#b35c00;--b5:#eba13a;--b6:#8e3b76;--b7:#cf86b6;--b8:#5b4bc4;
--b9:#a49bea;--b10:#7a6a4f;--b11:#9aa3ad}
@media(prefers-color-scheme:dark){:root{--bg:#111418;--fg:#e8ebef;--soft:#9ba5b0;--line:#30363d;--card:#1a1f25;
--link:#6cb6ff;--c0:#57b0f5;--c1:#ff9350;--c2:#3fcb9f;--c3:#eb93c8;--c4:#e3bd3f;--c5:#b0a4ff;--c6:#a9b2bc;--c7:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:1240px;margin:0 auto;padding:0 20px}
header{padding-top:34px}
h1{font-size:1.85rem;line-height:1.2;margin:0 0 6px}
h2{font-size:1.4rem;margin:56px 0 10px;padding-top:10px;border-top:1px solid var(--line)}
h3{font-size:1.1rem;margin:30px 0 8px}
h3 small{font-weight:400;color:var(--soft);font-size:.9rem;margin-left:6px}
h4{font-size:1rem;margin:26px 0 8px}
p{margin:8px 0;max-width:78ch}
a{color:var(--link)}
code{font:.84em ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
td code{display:block;white-space:pre-wrap}
.note,.about,figcaption,caption,footer{color:var(--soft)}
.note{font-size:.92rem}
nav{position:sticky;top:0;z-index:5;background:var(--bg);border-bottom:1px solid var(--line);margin-top:20px}
nav div{max-width:1240px;margin:0 auto;padding:8px 20px;display:flex;gap:4px 18px;overflow-x:auto;white-space:nowrap}
nav a{text-decoration:none;font-size:.92rem}
section{scroll-margin-top:44px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:12px;margin:18px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.card b{display:block;font-size:1.9rem;line-height:1.2;color:var(--c0)}
.card span{display:block;font-size:.92rem}
.card small{color:var(--soft)}
.findings{padding-left:1.2em;max-width:82ch}
.findings li{margin:6px 0}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;font-size:.94rem;margin:14px 0}
dl.facts dt{color:var(--soft)}
dl.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:14px 0}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;font-size:.9rem;min-width:100%}
caption{text-align:left;padding:4px 0;font-size:.9rem}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
thead th{font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--line)}
tbody th{font-weight:500;white-space:nowrap}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .number{white-space:normal}
td.note{color:var(--soft)}
.bd td:last-child,.bd th:last-child,.equal td:last-child,.equal th:last-child{text-align:left;white-space:normal;
min-width:20ch;color:var(--soft)}
.messages td:last-child,.commands td:last-child{white-space:pre-wrap;overflow-wrap:anywhere;min-width:34ch}
.commands td:last-child{width:60%}
.mean th,.mean td.number{font-weight:600}
.mean th,.mean td{background:var(--card)}
details{margin:8px 0}
summary{cursor:pointer;color:var(--link);font-size:.93rem;padding:3px 0}
.switch{display:inline-flex;border:1px solid var(--line);border-radius:8px;overflow:hidden;margin:6px 0}
.switch input{position:absolute;opacity:0;width:1px;height:1px}
.switch label{padding:5px 18px;cursor:pointer;font-size:.94rem}
.switch input:checked+label{background:var(--c0);color:var(--bg)}
.switch input:focus-visible+label{outline:2px solid var(--fg);outline-offset:-3px}
#curves:has(#measure-psnr:checked) figure.ssim,#curves:has(#measure-ssim:checked) figure.psnr{display:none}
.legends{display:flex;flex-wrap:wrap;gap:6px;margin:8px 0}
button.legend{display:inline-flex;align-items:center;gap:6px;padding:4px 11px;border:1px solid var(--line);
border-radius:99px;background:none;color:var(--fg);font:inherit;font-size:.9rem;cursor:pointer}
button.legend[aria-pressed=false]{opacity:.42;text-decoration:line-through}
.key{width:16px;height:16px;fill:var(--c)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 26px}
figure{margin:0;min-width:0}
figcaption{font-size:.92rem;margin:4px 0}
.plot{width:100%;height:auto;display:block;overflow:visible;touch-action:pan-y}
.plot text{fill:var(--fg);font-size:13.5px}
.plot .tick{fill:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}
.plot .axis{fill:var(--soft);font-size:13.5px}
.plot .label{fill:var(--c);font-size:13px;font-weight:600;paint-order:stroke;stroke:var(--bg);stroke-width:3px}
.middle{text-anchor:middle}.end{text-anchor:end}
.plot .grid{stroke:var(--line);stroke-width:1}
.plot .zero{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.series polyline{fill:none;stroke:var(--c);stroke-width:1.6;opacity:.75;vector-effect:non-scaling-stroke}
.series.c0 polyline{stroke-width:2.6;opacity:1}
.mark path{fill:var(--c);stroke:var(--bg);stroke-width:.22}
.mark.on path{stroke:var(--fg);stroke-width:.4}
.off{display:none}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}
.c6{--c:var(--c6)}.c7{--c:var(--c7)}
#tip{position:fixed;z-index:20;pointer-events:none;background:var(--fg);color:var(--bg);border-radius:7px;
padding:7px 11px;font-size:.86rem;line-height:1.4;white-space:pre-line;max-width:290px;box-shadow:0 3px 14px #0005}
.keys{display:flex;flex-wrap:wrap;gap:4px 16px;margin:10px 0;font-size:.9rem}
.keyed{display:inline-flex;align-items:center;gap:6px}
.keyed i{width:14px;height:14px;border-radius:3px}
.bar{display:grid;grid-template-columns:5ch 1fr 6ch;align-items:center;gap:8px;margin:5px 0}
.bar b{font-weight:600;text-align:right}
.bar em{font-style:normal;font-variant-numeric:tabular-nums;color:var(--soft);font-size:.9rem}
.stack{display:flex;height:27px;min-width:0}
.stack i{display:block;height:100%;font:11.5px/27px system-ui,sans-serif;text-align:center;color:#fff;overflow:hidden;
box-shadow:inset -1px 0 var(--bg);font-variant-numeric:tabular-nums}
.b0{background:var(--b0)}.b1{background:var(--b1)}.b2{background:var(--b2)}.b3{background:var(--b3)}
.b4{background:var(--b4)}.b5{background:var(--b5)}.b6{background:var(--b6)}.b7{background:var(--b7)}
.b8{background:var(--b8)}.b9{background:var(--b9)}.b10{background:var(--b10)}.b11{background:var(--b11)}
.stack .b1,.stack .b3,.stack .b5,.stack .b7,.stack .b9,.stack .b11{color:#111}
.empty{background:var(--card);border-left:4px solid var(--soft);padding:8px 14px;margin:10px 0;
border-radius:0 6px 6px 0}
.stamp{background:var(--card);border-left:4px solid var(--c1);padding:8px 14px;border-radius:0 6px 6px 0}
.whole{display:flex;flex-wrap:wrap;gap:12px;margin:8px 0}
.whole img{max-width:100%;max-height:340px;width:auto;height:auto;display:block;border-radius:4px}
.whole figcaption{max-width:420px}
.square{aspect-ratio:1;display:grid;place-items:center start;background:var(--card);border-radius:3px}
.map{position:relative;background-size:100% 100%;border-radius:3px;overflow:hidden}
.frame{position:absolute;border:2px solid #fff;outline:2px solid #000;box-shadow:0 0 0 999px #0006}
.compared{margin-bottom:34px}
.strip{margin:8px 0 20px}
.crops{display:grid;grid-template-columns:repeat(3,1fr);gap:8px 10px}
.crop{width:100%;height:auto;display:block;image-rendering:pixelated;cursor:zoom-in;background:#000;border-radius:3px}
.below{font-size:.86rem;line-height:1.4;padding-top:4px}
.below b{display:block}
.below span{color:var(--soft)}
dialog{border:0;width:min-content;padding:14px;border-radius:10px;background:var(--bg);color:var(--fg);max-width:96vw;max-height:96vh}
dialog::backdrop{background:#000b}
dialog img{display:block;width:min(88vw,76vh);height:auto;image-rendering:pixelated;cursor:pointer}
dialog p{margin:8px 0 0;font-size:.92rem}
dialog .choices{display:flex;flex-wrap:wrap;gap:6px;margin-top:8px}
dialog button{font:inherit;font-size:.92rem;padding:4px 12px;border:1px solid var(--line);border-radius:8px;
background:none;color:var(--fg);cursor:pointer}
dialog button[aria-pressed=true]{background:var(--c0);color:var(--bg)}
footer{padding:46px 20px 40px;font-size:.9rem}
@media(max-width:640px){body{font-size:15.5px}header,main,footer{padding-left:14px;padding-right:14px}
h1{font-size:1.5rem}h2{margin-top:42px}.plot text,.plot .tick,.plot .axis,.plot .label{font-size:16px}
dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin-bottom:6px}
.crops{grid-template-columns:repeat(3,66vw);overflow-x:auto;scroll-snap-type:x proximity}
.crops>*{scroll-snap-align:start}
.stack i{font-size:0}.card b{font-size:1.6rem}.cards{grid-template-columns:1fr 1fr}}
@media print{nav,.switch,.legends{display:none}}
"""
