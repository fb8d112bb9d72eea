/// The pages' style sheet: light and dark, screen and paper, from 320 pixels up.
///
/// Series differ by dash and label besides colour, and frames by letter; the tints of frames are those of Okabe and
/// Ito.
enum HTMLStyle {
    static let sheet: StaticString = """
        :root{color-scheme:light \
        dark;--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d8dde3;--wash:#f4f6f8;--accent:#0b5cad;--on-accent:#fff;
        --cost:#b4530a;--plain:#8f99a3;--bad:#b42318;--f0:#fbe3b5;--f1:#cfe9f8;--f2:#bfe5d8;--f3:#f6f1a8;\
        --f4:#dcd6f0;--f5:#f9cfb4;--f6:#f2d3e4;--f7:#dde2e6;
        --s1:#a63a00;--s2:#00664b;--s3:#7a3a6c;
        --text:Charter,"Bitstream Charter","Iowan Old Style",Georgia,"Liberation Serif","DejaVu Serif",serif;
        --label:"Helvetica Neue",Helvetica,Arial,"Liberation Sans","DejaVu Sans",sans-serif;
        --code:ui-monospace,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
        @media screen and \
        (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e5e8eb;--soft:#a0a9b3;--rule:#333a42;\
        --wash:#1c2127;--accent:#74b5f2;--on-accent:#0d1b2a;
        --cost:#e8965a;--plain:#66717c;--bad:#ff8f80;--f0:#58430f;--f1:#1d4861;--f2:#134e3e;--f3:#524e14;\
        --f4:#423b64;--f5:#673416;--f6:#5a3550;--f7:#3c434b;
        --s1:#f0a070;--s2:#6fd0b0;--s3:#e0a6cf}}
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0 auto;max-width:808px;padding:56px 24px \
        40px;background:var(--paper);color:var(--ink);font:17px/1.55 var(--text);overflow-wrap:break-word}
        p{margin:0 0 14px;text-wrap:pretty}
        h1,h2,h3{line-height:1.25;font-weight:600;text-wrap:balance;break-after:avoid}
        h1{font-size:32px;margin:0 0 10px;letter-spacing:-.01em}
        h2{font-size:22px;margin:0 0 12px}
        h3{font-size:17px;margin:32px 0 6px}
        h3 code{font:13px var(--code);color:var(--soft)}
        section{margin-top:56px}
        .command,.host,.setting,figcaption,.highlights,.facts,table,summary,footer{font-family:var(--label)}
        .command{font:14px var(--code);color:var(--accent);margin-bottom:10px}
        .host{font-size:14px;color:var(--soft);margin-bottom:22px}
        .setting{font:15px/1.5 var(--label);margin-bottom:2px}
        .verdict strong{color:var(--accent)}
        .verdict.failed strong,.note.failed{color:var(--bad)}
        .highlights{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:0 24px;margin:30px 0 \
        0;border-top:2px solid var(--ink)}
        .highlights div{display:flex;flex-direction:column-reverse;justify-content:flex-end;padding:14px \
        0;break-inside:avoid}
        .highlights dt{font-size:13px;line-height:1.4;color:var(--soft)}
        .highlights dd{margin:0;font-size:23px;line-height:1.3;font-variant-numeric:tabular-nums}
        .facts{margin:0;font-size:14px}
        .facts div{display:grid;grid-template-columns:250px 1fr;gap:0 16px;padding:6px 0;border-top:1px solid \
        var(--rule)}
        .facts dt{color:var(--soft)}
        .facts dd{margin:0}
        .checks{list-style:none;margin:0;padding:0}
        .checks li{padding:9px 0 9px 30px;border-top:1px solid \
        var(--rule);position:relative;font-size:16px;break-inside:avoid}
        .checks .mark{position:absolute;left:2px;color:var(--accent);font-family:var(--label)}
        .checks .failed .mark,.checks .failed strong{color:var(--bad)}
        .checks+p{margin-top:18px}
        .checks .method{display:block;font:13px/1.45 var(--label);color:var(--soft);margin-top:2px}
        pre{font:12px/1.5 var(--code);margin:0 0 14px;padding:10px \
        12px;background:var(--wash);white-space:pre-wrap;overflow-wrap:anywhere}
        figure{margin:24px 0 0;break-inside:avoid}
        figcaption{font-size:13px;line-height:1.5;color:var(--soft);margin-top:12px}
        .pair{display:grid;grid-template-columns:1fr 1fr;gap:24px 40px}
        .pair h3{margin:0 0 8px}
        svg{display:block;width:100%;height:auto;font:13px \
        var(--label);fill:var(--ink);font-variant-numeric:tabular-nums}
        svg.narrow{display:none}
        svg .code{font:12px var(--code)}
        svg .soft{fill:var(--soft)}
        svg .end{text-anchor:end}
        svg .mid{text-anchor:middle}
        svg .strong{font-weight:600}
        .axis{stroke:var(--soft)}
        .grid{stroke:var(--rule)}
        .band{fill:var(--wash)}
        .lead{stroke:var(--soft);fill:none}
        .line{fill:none;stroke-linejoin:round}
        .rss{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 3}
        .pss{stroke:var(--ink);stroke-width:1.5}
        .frames{stroke:var(--accent);stroke-width:2;stroke-dasharray:1 4;stroke-linecap:round}
        .dot{fill:var(--accent)}
        .dot.own{fill:var(--ink)}
        .dot.changed{fill:var(--bad)}
        text.frames{fill:var(--accent);stroke:none}
        text.rss{stroke:none;fill:var(--soft)}
        text.pss{stroke:none;fill:var(--ink)}
        .page rect{fill:var(--paper);stroke:var(--soft)}
        .page path{fill:none;stroke:var(--soft)}
        .page.shared path{stroke:var(--accent)}
        .page:hover rect{stroke-width:2}
        .page:hover path{stroke-width:2}
        .frame rect{stroke:var(--soft)}
        .f0 rect{fill:var(--f0)}.f1 rect{fill:var(--f1)}.f2 rect{fill:var(--f2)}.f3 rect{fill:var(--f3)}
        .f4 rect{fill:var(--f4)}.f5 rect{fill:var(--f5)}.f6 rect{fill:var(--f6)}.f7 rect{fill:var(--f7)}
        .s0 rect{fill:var(--accent);stroke:var(--accent)}.s1 rect{fill:var(--s1);stroke:var(--s1)}.s2 \
        rect{fill:var(--s2);stroke:var(--s2)}.s3 rect{fill:var(--s3);stroke:var(--s3)}
        .s0 text,.s1 text,.s2 text,.s3 text{fill:var(--on-accent)}
        .none rect{fill:none;stroke-dasharray:3 3}
        .bar{fill:var(--plain)}
        .bar.accent{fill:var(--accent)}
        .bar.cost{fill:var(--cost)}
        .bar.used{fill:var(--soft)}
        .bar.saved{fill:var(--accent)}
        .bar.third{fill:var(--s3)}
        .ground{fill:var(--paper)}
        .range{stroke:var(--ink);fill:none}
        .mark1{stroke:var(--ink);stroke-dasharray:4 3}
        table{width:100%;border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
        table.beside{margin-top:28px}
        @media print,(min-width:720px){
        table.dense{font-size:12.5px}
        .dense .long{overflow-wrap:anywhere}
        .dense .long:nth-child(2){width:16%}
        .dense th+th,.dense th+td,.dense td+td{padding-left:7px}
        table.many{font-size:11.5px}
        .many th+th,.many th+td,.many td+td{padding-left:6px}
        }
        caption{text-align:left;color:var(--soft);padding-bottom:8px}
        th,td{padding:6px 0 6px 14px;text-align:right;vertical-align:top;border-top:1px solid \
        var(--rule);font-weight:400}
        th:first-child,td:first-child{padding-left:0;text-align:left}
        th.label,tbody th{text-align:left}
        thead th{color:var(--soft);border-top:0;border-bottom:1px solid var(--soft);vertical-align:bottom;padding-top:0}
        tbody tr:first-child th,tbody tr:first-child td{border-top:0}
        tr{break-inside:avoid}
        thead th[title],tbody th[title]{cursor:help}
        .letter td,.letter th{color:var(--soft)}
        .run td,.run th{font-weight:600}
        summary{cursor:pointer;font-size:14px;color:var(--accent);padding:8px 0}
        footer{margin-top:64px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--soft)}
        @media screen and (max-width:719px){
        body{padding:32px 20px 32px;font-size:16px}
        h1{font-size:25px}h2{font-size:20px}
        section{margin-top:44px}
        .highlights{grid-template-columns:1fr 1fr;gap:0 16px}
        .highlights dd{font-size:21px}
        .facts div{grid-template-columns:1fr;padding:8px 0}
        .pair{grid-template-columns:1fr}
        svg.wide{display:none}
        svg.narrow{display:block}
        svg.narrow,.pair svg{max-width:440px}
        table,tbody,caption{display:block}
        thead{display:none}
        tr{display:block;padding:8px 0;border-top:1px solid var(--rule)}
        tbody th,tbody td{display:flex;justify-content:space-between;gap:16px;padding:2px 0;border:0;text-align:right}
        tbody th:first-child,tbody td:first-child{text-align:left}
        tbody th{font-weight:600;text-align:left}
        tbody td::before{content:attr(data-label);color:var(--soft);text-align:left}
        }
        @media print{
        :root{color-scheme:light;--ink:#000;--soft:#444;--rule:#bbb;--wash:#f2f2f2}
        body{padding:0;max-width:none;font-size:11pt}
        section{margin-top:30pt}
        h2+p,h3+p,p:has(+figure),caption,thead{break-after:avoid}
        .short,figure .pair,.checks li,.facts div{break-inside:avoid}
        tbody tr:first-child{break-before:avoid}
        figure:has(details){break-inside:auto}
        svg{max-height:235mm}
        .pair svg{max-height:90mm}
        summary{display:none}
        p:has(+figure){break-inside:avoid}
        p,li{orphans:3;widows:3}
        svg,.page rect,.frame rect,.bar,pre{-webkit-print-color-adjust:exact;print-color-adjust:exact}
        details::details-content{content-visibility:visible;display:block}
        @page{margin:18mm 16mm}
        }
        """
}
